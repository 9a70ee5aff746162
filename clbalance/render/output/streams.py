"""What jobs print, on its way to our own standard output and error, or to a terminal: bytes in, bytes out.

One Protocol for every way to show it: passed through (here), labelled, gathered, or written to files. Each
keeps a bounded amount per node, whatever jobs print.
"""

import codecs
import re
from dataclasses import field
from typing import BinaryIO, Protocol

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.render.text import escape_character

STREAMS = ("stdout", "stderr")
"""As the agent names them."""
_WIPE = b"\r\x1b[K"
_STYLE = re.compile(rb"\x1b\[[0-9;:]*m")


class JobOutput(Protocol):
    """A way to show what copies print; `stream` is one of `STREAMS`."""

    def write(self, node: NodeName, stream: str, piece: bytes) -> None:
        """The next piece of one copy's stream, cut anywhere."""
        ...

    def end(self, node: NodeName) -> None:
        """Both streams of this copy are complete; what was held back of them comes out."""
        ...

    def close(self) -> None:
        """No more will come, of any copy; also called when the run was cut short."""
        ...


class StatusLine:
    """The last line of a place that is written to, which two outlets may share: whether something stands on it."""

    def __init__(self) -> None:
        self.is_open = False

    def went(self, data: bytes) -> None:
        """`data` was written there."""
        begins_at = data.rfind(b"\n") + 1
        wiped = data.rfind(_WIPE, begins_at)
        rest = data[begins_at if wiped < 0 else wiped + len(_WIPE) :]
        is_fresh = begins_at > 0 or wiped >= 0
        self.is_open = bool(_STYLE.sub(b"", rest)) or (self.is_open and not is_fresh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """Where bytes go at last: a buffered binary file, and whether a terminal reads it (and in colour)."""

    file: BinaryIO
    terminal: bool = False
    color: bool = False
    line: StatusLine = field(default_factory=StatusLine)

    def send(self, data: bytes) -> None:
        """Write it now: output of a running job is watched."""
        if not data:
            return
        try:
            self.file.write(data)
            self.file.flush()
        except OSError as error:
            error.filename = error.filename or getattr(self.file, "name", None)  # such as <stdout>
            raise
        self.line.went(data)

    def remark(self, data: bytes) -> None:
        """The same on a line of its own, wherever a job has left off."""
        self.send(b"\n" + data if data and self.line.is_open else data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """Ours: what jobs write to their standard output goes to ours, and their errors to ours."""

    stdout: Outlet
    stderr: Outlet

    def of(self, stream: str) -> Outlet:
        """The outlet for a job's stream."""
        return self.stderr if stream == "stderr" else self.stdout


class PassedThrough:
    """Byte for byte, as if the job ran here; only a terminal is spared what could act on it."""

    def __init__(self, outlets: Outlets) -> None:
        self._outlets = outlets
        self._filters: dict[tuple[NodeName, str], TerminalFilter] = {}

    def write(self, node: NodeName, stream: str, piece: bytes) -> None:
        outlet = self._outlets.of(stream)
        if outlet.terminal:
            piece = self._filters.setdefault((node, stream), TerminalFilter()).feed(piece)
        outlet.send(piece)

    def end(self, node: NodeName) -> None:
        for stream in STREAMS:
            if held := self._filters.pop((node, stream), None):
                self._outlets.of(stream).send(held.finish())

    def close(self) -> None:
        for node in dict.fromkeys(node for node, _ in self._filters):
            self.end(node)


# Job output on its way to a terminal: bytes in, bytes out, whatever the chunks.
#
# Looser than `untrusted`, for the output is the user's own: colours (SGR), erase-line, carriage return and
# backspace pass, so progress bars and compilers look as they do at home. Everything else that a terminal acts
# on is made visible: cursor moves, OSC (titles, clipboard, links), C1, and bytes that are not UTF-8.

RESET = b"\x1b[0m"

# 24 characters hold `38:2::255:255:255` and some more; what is longer is no colour.
_ALLOWED = r"\x1b\[[0-9;:]{0,24}m|\x1b\[[012]?K"
_UNSAFE = re.compile(_ALLOWED + "|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST = 32  # more than an allowed escape has
_PLAIN = re.compile(rb"[\t\x20-\x7e]*")  # most lines; ten times faster
_UNFINISHED = re.compile(r"\x1b(\[[0-9;:]{0,24})?\Z")


class TerminalFilter:
    """One stream's filter; keeps at most one unfinished character and one unfinished escape between chunks."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._styled = False

    def feed(self, chunk: bytes) -> bytes:
        """The part of the stream that is complete with `chunk`, made safe."""
        text = self._held + self._decoder.decode(chunk)
        unfinished = _UNFINISHED.search(text, max(0, len(text) - _LONGEST))
        self._held = unfinished[0] if unfinished else ""
        return self._passed(text[: len(text) - len(self._held)])

    def finish(self) -> bytes:
        """What was held back, at the end of the stream; a colour still set is taken back."""
        text = self._held + self._decoder.decode(b"", final=True)
        self._held = ""
        return self._passed(text) + (RESET if self._styled else b"")

    def _passed(self, text: str) -> bytes:
        safe = _UNSAFE.sub(_keep_or_escape, text)
        self._styled = self._styled or "\x1b[" in safe
        return safe.encode()


def _keep_or_escape(match: re.Match[str]) -> str:
    found = match[0]
    return found if len(found) > 1 else escape_character(found)


def terminal_safe(whole: bytes) -> bytes:
    """All of `whole` made safe; a colour that is set in it ends with it."""
    if _PLAIN.fullmatch(whole):
        return whole
    held = TerminalFilter()
    return held.feed(whole) + held.finish()
