"""Output of several copies as it comes, each line after the name of its node.

To a file or a pipe go whole lines only. On a terminal a line without an end, such as a prompt or a progress bar, is
shown when it has waited for half a second. Lines of two nodes never mix: the next line of another node begins below it,
and when the first one goes on after that, it gets its label again.
"""

import time
from collections.abc import Callable
from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.render.output.grouped import LineCutter
from clbalance.render.output.streams import (
    RESET,
    STREAMS,
    WIPE,
    Outlet,
    Outlets,
    TerminalFilter,
    nothing_unfinished,
    terminal_safe,
)
from clbalance.render.text import escape_line

_LABEL_COLOR = {"stdout": b"\x1b[94m", "stderr": b"\x1b[91m"}  # clush's blue and red
_WAITS_S = 0.5  # until an unfinished line is shown


@dataclass(slots=True)
class _Line:
    """The unfinished line of one stream. `shown`: how many bytes of it are on the terminal."""

    label: bytes
    cutter: LineCutter = field(default_factory=LineCutter)
    due_at: float | None = None
    """When the rest of it has waited long enough; None: nothing waits."""
    shown: int = 0
    ends_in_return: bool = False
    """What is shown of it ended with a carriage return: more of it replaces that."""
    safe: TerminalFilter = field(default_factory=TerminalFilter)
    writes: int = -1
    """The number of writes to the terminal when it was shown. If it has not changed, the cursor is still there."""

    def show(self, outlet: Outlet) -> bytes:
        """The part that is not on the terminal yet; after a carriage return, only what follows it."""
        rest = self.cutter.rest
        begins_at = rest.rfind(b"\r", 0, len(rest) - 1) + 1
        replaces = begins_at > self.shown or self.ends_in_return
        if replaces or not self.shown:
            self.safe = TerminalFilter()
        text = self.safe.feed(rest[max(begins_at, self.shown) :].removesuffix(b"\r")) + self.safe.reset()
        shown = self._lead(outlet, replaces=replaces) + text
        self.cutter.forget(begins_at)
        self.shown, self.due_at, self.ends_in_return = len(rest) - begins_at, None, rest.endswith(b"\r")
        return shown

    def finish(self, whole: bytes, outlet: Outlet) -> bytes:
        """The rest of the line, of which a part is shown, with its newline."""
        rest = whole.removesuffix(b"\r")[self.shown :]
        text = (self.safe.feed(rest) + self.safe.finish()).replace(b"\r", b"\r" + self.label)
        if not rest and self.writes != outlet.line.writes:
            return b""  # it is whole on the terminal, and other lines are below it
        return self._lead(outlet, replaces=self.ends_in_return and bool(rest)) + text + b"\n"

    def begin_anew(self) -> None:
        """The line is finished."""
        self.shown, self.due_at, self.ends_in_return, self.writes = 0, None, False, -1

    def _lead(self, outlet: Outlet, *, replaces: bool) -> bytes:
        """What brings the cursor to where more of the line belongs."""
        if self.shown and self.writes == outlet.line.writes:
            return WIPE + self.label if replaces else b""
        return _below(outlet) + self.label


class Labelled:
    """Labels lines with their node. An unfinished last line gets a newline at the end."""

    def __init__(
        self,
        outlets: Outlets,
        *,
        before: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`before` is called before an unfinished line is shown."""
        self._outlets = outlets
        self._before = before
        self._clock = clock
        self._lines: dict[tuple[NodeName, str], _Line] = {}
        outlets.unfinished.show = self.show_unfinished

    def write(self, node: NodeName, stream: str, piece: bytes) -> None:
        outlet = self._outlets.of(stream)
        line = self._lines.get((node, stream))
        if line is None:
            line = self._lines[node, stream] = _Line(_label(node, stream, outlet))
        self._send(outlet, line, line.cutter.feed(piece))
        if outlet.terminal and line.due_at is None and line.cutter.pending_bytes > line.shown:
            line.due_at = self._clock() + _WAITS_S

    def end(self, node: NodeName) -> None:
        for stream in STREAMS:
            if line := self._lines.pop((node, stream), None):
                self._send(self._outlets.of(stream), line, line.cutter.finish())

    def close(self) -> None:
        for node in dict.fromkeys(node for node, _ in self._lines):
            self.end(node)
        if self._outlets.unfinished.show == self.show_unfinished:
            self._outlets.unfinished.show = nothing_unfinished

    def show_unfinished(self) -> float | None:
        """Show lines that have waited long enough. Returns the seconds until the next has; None: no line waits."""
        waiting = [(key, line) for key, line in self._lines.items() if line.due_at is not None]
        if not waiting:
            return None
        now = self._clock()
        for (_, stream), line in waiting:
            if line.due_at is not None and line.due_at <= now:
                self._show(self._outlets.of(stream), line)
        return min((max(0.0, line.due_at - now) for _, line in waiting if line.due_at is not None), default=None)

    def _send(self, outlet: Outlet, line: _Line, lines: list[bytes]) -> None:
        if not lines:
            return
        labelled = _terminal_line if outlet.terminal else _file_line
        first, *others = (one.removesuffix(b"\n") for one in lines)
        text = line.finish(first, outlet) if line.shown else _below(outlet) + labelled(line.label, first)
        if others and not text:
            text = _below(outlet)
        outlet.send(text + b"".join(labelled(line.label, other) for other in others))
        line.begin_anew()

    def _show(self, outlet: Outlet, line: _Line) -> None:
        self._before()
        outlet.send(line.show(outlet))
        line.writes = outlet.line.writes


def _below(outlet: Outlet) -> bytes:
    """What leads to the next line, if there is an unfinished one on the terminal."""
    return b"\n" if outlet.terminal and outlet.line.is_open else b""


def _label(node: NodeName, stream: str, outlet: Outlet) -> bytes:
    name = escape_line(node).encode() + b": "
    return _LABEL_COLOR[stream] + name + RESET if outlet.color else name


def _file_line(label: bytes, line: bytes) -> bytes:
    return label + line + b"\n"


def _terminal_line(label: bytes, line: bytes) -> bytes:
    # A progress bar goes back to the start of the line: the label is written again there, not overwritten.
    text = terminal_safe(line.removesuffix(b"\r")).replace(b"\r", b"\r" + label)
    return label + text + b"\n"
