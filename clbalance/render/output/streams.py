"""The output of jobs on its way to our own standard output and error, or to a terminal: bytes in, bytes out.

There is one Protocol for every way to show it: passed through (here), labelled, gathered, or written to files. Each
keeps a bounded amount per node in memory, however much jobs print.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import field
from typing import BinaryIO, Protocol

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.render.text import escape_character

STREAMS = ("stdout", "stderr")
"""The names that the agent uses."""
WIPE = b"\r\x1b[K"
_STYLE = re.compile(rb"\x1b\[[0-9;:]*m")


def task_label(task: int) -> NodeName:
    """The label of a task's lines, in place of a node name."""
    return NodeName(str(task))


class JobOutput(Protocol):
    """A way to show the output of copies; `stream` is one of `STREAMS`."""

    def write(self, node: NodeName, stream: str, piece: bytes) -> None:
        """The next piece of one copy's stream; it may end anywhere in a line or character."""
        ...

    def end(self, node: NodeName) -> None:
        """Both streams of this copy are complete: show the rest of them."""
        ...

    def close(self) -> None:
        """There is no more output of any copy; also called when the run was interrupted."""
        ...


class StatusLine:
    """Whether the last line of a terminal or file is unfinished. Two outlets may share one."""

    def __init__(self) -> None:
        self.is_open = False
        self.count = 0
        """How many lines were finished."""
        self.writes = 0
        """How often something was written there."""

    def went(self, data: bytes) -> None:
        """`data` was written there."""
        self.count += data.count(b"\n")
        self.writes += 1
        begins_at = data.rfind(b"\n") + 1
        wiped = data.rfind(WIPE, begins_at)
        rest = data[begins_at if wiped < 0 else wiped + len(WIPE) :]
        is_fresh = begins_at > 0 or wiped >= 0
        self.is_open = bool(_STYLE.sub(b"", rest)) or (self.is_open and not is_fresh)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """Standard output or error: a buffered binary file, whether it is a terminal, and whether to use colour."""

    file: BinaryIO
    terminal: bool = False
    color: bool = False
    line: StatusLine = field(default_factory=StatusLine)

    def send(self, data: bytes) -> None:
        """Write and flush: users watch the output of a running job."""
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
        """The same on a new line, if a job has left the last one unfinished."""
        self.send(b"\n" + data if data and self.line.is_open else data)


def nothing_unfinished() -> float | None:
    """No output waits to be shown."""
    return None


class UnfinishedOutput:
    """Output that waits for the end of its line. Loops that wait for nodes call `show`."""

    def __init__(self) -> None:
        self.show: Callable[[], float | None] = nothing_unfinished
        """Shows what has waited long enough. Returns the seconds until more of it has; None: nothing waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """Our standard output and error, for the same streams of jobs."""

    stdout: Outlet
    stderr: Outlet
    unfinished: UnfinishedOutput = field(default_factory=UnfinishedOutput)

    def show_unfinished(self) -> float | None:
        """Show output that has waited for the end of its line. Returns when to call again, in seconds; None: never."""
        return self.unfinished.show()

    def of(self, stream: str) -> Outlet:
        """The outlet for a job's stream."""
        return self.stderr if stream == "stderr" else self.stdout


class PassedThrough:
    """Copies output byte for byte, as if the job ran here; for a terminal, through a `TerminalFilter`."""

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


# Job output on its way to a terminal: bytes in, bytes out, with the same result for any chunks.
#
# Less strict than `escape_text`, because the output is the user's own: colours (SGR), erase-line, carriage return and
# backspace pass, so that progress bars and compilers look as usual. Everything else that controls a terminal is made
# visible: cursor moves, OSC (titles, clipboard, links), C1, and bytes that are not UTF-8.

RESET = b"\x1b[0m"

# 24 characters are enough for `38:2::255:255:255` and some more; a longer sequence is no colour.
_ALLOWED = r"\x1b\[[0-9;:]{0,24}m|\x1b\[[012]?K"
_UNSAFE = re.compile(_ALLOWED + "|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST = 32  # more characters than an allowed escape has
_PLAIN = re.compile(rb"[\t\x20-\x7e]*")  # most lines; this check is ten times faster than the filter
_UNFINISHED = re.compile(r"\x1b(\[[0-9;:]{0,24})?\Z")


class TerminalFilter:
    """The filter of one stream. Between chunks it keeps at most one unfinished character and one unfinished escape."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._styled = False

    def feed(self, chunk: bytes) -> bytes:
        """The part of the stream that `chunk` completes, made safe."""
        text = self._held + self._decoder.decode(chunk)
        unfinished = _UNFINISHED.search(text, max(0, len(text) - _LONGEST))
        self._held = unfinished[0] if unfinished else ""
        return self._passed(text[: len(text) - len(self._held)])

    def finish(self) -> bytes:
        """The rest, at the end of the stream; it resets colours."""
        text = self._held + self._decoder.decode(b"", final=True)
        self._held = ""
        return self._passed(text) + self.reset()

    def reset(self) -> bytes:
        """What resets the colours that are set, so that other text can follow."""
        styled, self._styled = self._styled, False
        return RESET if styled else b""

    def _passed(self, text: str) -> bytes:
        safe = _UNSAFE.sub(_keep_or_escape, text)
        self._styled = self._styled or "\x1b[" in safe
        return safe.encode()


def _keep_or_escape(match: re.Match[str]) -> str:
    found = match[0]
    return found if len(found) > 1 else escape_character(found)


def terminal_safe(whole: bytes) -> bytes:
    """`whole` made safe; a colour that is set in it is reset at its end."""
    if _PLAIN.fullmatch(whole):
        return whole
    held = TerminalFilter()
    return held.feed(whole) + held.finish()
