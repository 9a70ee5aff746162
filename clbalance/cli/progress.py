"""The progress of what takes long, on standard error: on a terminal, or for somebody who reads a pipe."""

import os
import select
import stat
import sys
import time
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path

from clbalance.cli.console import Console
from clbalance.model import NodeName
from clbalance.nodeset import fold
from clbalance.render import messages

_QUIET_FOR_S = 0.5  # what ends within this time shows no progress
_EVERY_S = 0.1
_IN_A_PIPE_EVERY_S = 60.0
_USUAL_WIDTH = 80  # columns, for a terminal that does not tell its width


class ProgressLine:
    """One line of progress.

    On a terminal it is drawn over itself. In a pipe that somebody reads it is a whole line, once a minute. Otherwise
    nothing is shown: cron would send it by mail.
    """

    def __init__(
        self, *, quiet: bool, after_s: float = _QUIET_FOR_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`after_s`: how long a terminal shows nothing."""
        self._clock = clock
        self._is_terminal = not quiet and _is_terminal()
        self._is_read = not quiet and not self._is_terminal and _somebody_reads()
        self._after_s = after_s
        self._drawn = False
        self.begin()

    def begin(self) -> None:
        """Something begins now."""
        self._next_at = self._clock() + (_IN_A_PIPE_EVERY_S if self._is_read else self._after_s)

    def show(self, text: Callable[[int], str]) -> None:
        """Show the progress if it is time. `text` is called then, with the width of the line in columns."""
        now = self._clock()
        if now < self._next_at or not (self._is_terminal or self._is_read):
            return
        if self._is_terminal:
            self._next_at, self._drawn = now + _EVERY_S, True
            width = os.get_terminal_size(2).columns or _USUAL_WIDTH
            sys.stderr.write(f"\r\x1b[K{text(width)}")
        else:
            self._next_at = now + _IN_A_PIPE_EVERY_S
            sys.stderr.write(messages.note(text(_USUAL_WIDTH)))
        sys.stderr.flush()

    def clear(self) -> None:
        """Erase the line: something else is shown, or it is over."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _somebody_reads() -> bool:
    """Whether standard error is a pipe, and standard input neither /dev/null nor a pipe that was closed, as cron's."""
    try:
        errors, given = os.fstat(2), os.fstat(0)
        if not stat.S_ISFIFO(errors.st_mode) and not stat.S_ISSOCK(errors.st_mode):
            return False
        if stat.S_ISFIFO(given.st_mode):
            poll = select.poll()
            poll.register(0, 0)
            return not poll.poll(0)
        return not (stat.S_ISCHR(given.st_mode) and given.st_rdev == Path(os.devnull).stat().st_rdev)
    except OSError:
        return False


class SweepProgress:
    """The progress of a sweep, if it takes long.

    `meanwhile` is a module that is needed after the sweep: it is imported while the nodes work.
    """

    def __init__(self, console: Console, *, meanwhile: str) -> None:
        self._console = console
        self._meanwhile = meanwhile
        self._line = ProgressLine(quiet=console.quiet)
        self._total = 0

    def asked(self, total: int) -> None:
        self._total = total
        self._line.begin()
        import_module(self._meanwhile)

    def answered(self, node: NodeName) -> None:
        pass  # `awaiting` follows, and shows it

    def awaiting(self, nodes: Collection[NodeName]) -> None:
        def text(width: int) -> str:
            # More names would not fit, and folding ten thousand takes time.
            names = fold(nodes) if len(nodes) <= width else None
            return messages.sweep_progress(self._total, len(nodes), names, width)

        self._line.show(text)

    def store_failed(self, reason: str) -> None:
        self._console.say(messages.warning(f"continuing without the state database: {reason}"))

    def done(self) -> None:
        self._line.clear()
