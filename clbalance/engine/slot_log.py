"""A slot's log as it arrives, in pieces (docs/design/tasks.md). Pure; a line that makes no sense is passed over."""

from typing import Annotated, Final, TypeAlias

import msgspec

from clbalance.engine.agent_wire import AgentEnd, Seconds
from clbalance.job import End, Exited, Killed, Lost, NodeFailed

_LONGEST_LINE = 4096

Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
"""Bytes."""


class Began(msgspec.Struct, array_like=True, tag="s", frozen=True):
    """The task is going to be started."""

    number: int


class Returned(msgspec.Struct, array_like=True, tag="b", frozen=True):
    """It was not, and will not be."""

    number: int


class Finished(msgspec.Struct, array_like=True, tag="e", frozen=True):
    """Nothing of it is left; `stdout` and `stderr` are the sizes of the slot's output then."""

    number: int
    end: AgentEnd
    seconds: Seconds
    stdout: Size
    stderr: Size


class Whole(msgspec.Struct, array_like=True, tag="z", frozen=True):
    """There is nothing behind it."""


SlotEntry: TypeAlias = Began | Returned | Finished | Whole

_decoder: msgspec.json.Decoder[SlotEntry] = msgspec.json.Decoder(SlotEntry)


class SlotLog:
    """Cuts pieces into entries."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, piece: bytes) -> list[SlotEntry]:
        """What this piece completes."""
        *lines, rest = (self._partial + piece).split(b"\n")
        self._partial = rest if len(rest) <= _LONGEST_LINE else b""
        return [entry for entry in map(_entry, lines) if entry is not None]


def _entry(line: bytes) -> SlotEntry | None:
    try:
        return _decoder.decode(line)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None


COULD_NOT_LOG: Final = Exited(rc=1)
"""How a slot ends that cannot write its log any more: its disk is full."""


def tells_all(end: End, *, closed: bool) -> bool:
    """Whether a log that was read to its end tells of every task that the slot has started, if the slot ended so.

    What ends by itself closes its log. Starts are on the disk before they are made, so one that was killed, or could
    write no more, told all of them, too.
    """
    if isinstance(end, Lost | NodeFailed):
        return False
    return closed or isinstance(end, Killed) or end == COULD_NOT_LOG
