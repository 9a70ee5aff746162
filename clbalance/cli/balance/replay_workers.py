"""Work on independent cases in parallel: one forked process for each case, at most one per cpu at a time."""

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from clbalance.cli.progress import ProgressLine
from clbalance.errors import ClbalanceError
from clbalance.policy.jobs.task_records import left_s
from clbalance.render.text import duration

if TYPE_CHECKING:  # one case, which is usual, needs no other process
    from multiprocessing.connection import Connection

Case = TypeVar("Case")
Found = TypeVar("Found")

_EVERY = 64  # arrivals between two messages of a worker; by a message it also notices that its parent has ended


class ReplayProgress:
    """The progress of all cases, and the time left."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._total, self._done = total, 0
        self._began = time.monotonic()
        self._line = ProgressLine(quiet=quiet)

    def advanced(self, count: int) -> None:
        """`count` more arrivals are done."""
        self._done += count
        self._line.show(self._text)

    def done(self) -> None:
        """Erase the line."""
        self._line.clear()

    def _text(self, width: int) -> str:
        left = left_s(elapsed_s=time.monotonic() - self._began, done=self._done, total=self._total)
        message = "" if left is None else f", {duration(left)} left"
        return f"{self._done}/{self._total} arrivals{message}"[:width]


def each_in_a_process(
    cases: Sequence[Case], work: Callable[[Case, Callable[[int], None]], Found], progress: ReplayProgress
) -> list[Found]:
    """The results of `work` for each case, in their order.

    `work` gets the case and a function to which it reports how many arrivals are done. `ClbalanceError` if a process
    ends without a result.
    """
    at_once = min(len(cases), len(os.sched_getaffinity(0)))
    try:
        if at_once == 1:
            return [work(case, _Steps(progress.advanced).heard) for case in cases]
        return _Workers(cases, work, progress).all_found(at_once)
    finally:
        progress.done()


class _Steps:
    """Turns totals into increments, and reports one after every `_EVERY` arrivals."""

    def __init__(self, advanced: Callable[[int], None]) -> None:
        self._advanced, self._reported_at = advanced, 0

    def heard(self, count: int) -> None:
        if count - self._reported_at >= _EVERY:
            self._advanced(count - self._reported_at)
            self._reported_at = count


class _Workers:
    """Forked processes, each of which works on one case."""

    def __init__(
        self, cases: Sequence[Case], work: Callable[[Case, Callable[[int], None]], Any], progress: ReplayProgress
    ) -> None:
        self._cases, self._work, self._progress = cases, work, progress
        self._found: dict[int, Any] = {}
        self._at_work: dict[Connection, tuple[int, int]] = {}

    def all_found(self, at_once: int) -> list[Any]:
        from multiprocessing.connection import Connection, wait

        left = list(range(len(self._cases)))
        try:
            while left or self._at_work:
                while left and len(self._at_work) < at_once:
                    self._begin(left.pop(0))
                for connection in wait(list(self._at_work)):
                    assert isinstance(connection, Connection)
                    self._hear(connection)
        finally:
            for _, pid in self._at_work.values():
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        return [self._found[at] for at in range(len(self._cases))]

    def _begin(self, at: int) -> None:
        from multiprocessing.connection import Pipe

        reader, writer = Pipe(duplex=False)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            try:
                self._run_worker(at, writer)
            finally:
                os._exit(0)
        writer.close()
        self._at_work[reader] = at, pid

    def _run_worker(self, at: int, writer: "Connection") -> None:
        """Runs in the forked process. Signals kill it at once: it has nothing to clean up."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        found = self._work(self._cases[at], _Steps(writer.send).heard)
        writer.send((found,))

    def _hear(self, connection: "Connection") -> None:
        at, pid = self._at_work[connection]
        try:
            parsed = connection.recv()
        except EOFError:
            del self._at_work[connection]
            connection.close()
            os.waitpid(pid, 0)
            if at not in self._found:
                raise ClbalanceError(
                    "a replay process ended without a result", hint="is there enough memory?"
                ) from None
            return
        if isinstance(parsed, int):
            self._progress.advanced(parsed)
        else:
            (self._found[at],) = parsed
