"""A slot's log as it arrives, in pieces (docs/design/tasks.md). Pure; a line that makes no sense is passed over."""

import msgspec

from clbalance.engine.agent_wire import AgentEnd

_LONGEST_LINE = 4096


class Began(msgspec.Struct, array_like=True, tag="s", frozen=True):
    """The task is going to be forked."""

    number: int


class Returned(msgspec.Struct, array_like=True, tag="b", frozen=True):
    """It was not, and will not be."""

    number: int


class Finished(msgspec.Struct, array_like=True, tag="e", frozen=True):
    """Nothing of it is left; `stdout` and `stderr` are the sizes of the slot's output then."""

    number: int
    end: AgentEnd
    seconds: float
    stdout: int
    stderr: int


_decoder: msgspec.json.Decoder[Began | Returned | Finished] = msgspec.json.Decoder(Began | Returned | Finished)


class SlotLog:
    """Cuts pieces into entries."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, piece: bytes) -> list[Began | Returned | Finished]:
        """What this piece completes."""
        *lines, rest = (self._partial + piece).split(b"\n")
        self._partial = rest if len(rest) <= _LONGEST_LINE else b""
        return [entry for entry in map(_entry, lines) if entry is not None]


def _entry(line: bytes) -> Began | Returned | Finished | None:
    try:
        return _decoder.decode(line)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None
