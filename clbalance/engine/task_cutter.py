"""A slot's output, cut into that of its tasks. Pure but for who is told."""

from collections import deque
from typing import Protocol

from clbalance.engine.slot_log import Finished


class TaskHearer(Protocol):
    """Who is told of tasks."""

    def wrote(self, number: int, stream: str, piece: bytes) -> None:
        """A piece of what a task has written."""
        ...

    def finished(self, entry: Finished) -> None:
        """It has ended, and all that it has written was told."""
        ...


class TaskCutter:
    """The tasks of a slot run one after the other, and an agent tells the end of one before what the next has written.

    So what lies beyond the last known end is the running task's.
    """

    def __init__(self, hearer: TaskHearer) -> None:
        self._hearer = hearer
        self._running: deque[int] = deque()
        self._ended: deque[Finished] = deque()
        self._at = {"stdout": 0, "stderr": 0}

    def began(self, number: int) -> None:
        """It is running, or the next to run."""
        self._running.append(number)

    def returned(self, number: int) -> None:
        """It will not run here."""
        if number in self._running:
            self._running.remove(number)

    def finished(self, entry: Finished) -> None:
        """The log tells of its end; its output may still be on its way."""
        self.returned(entry.number)
        self._ended.append(entry)
        self._tell()

    def write(self, stream: str, piece: bytes) -> None:
        """The next piece of a stream, in order."""
        at = self._at[stream]
        for entry in self._ended:
            end = entry.stdout if stream == "stdout" else entry.stderr
            if piece and end > at:
                self._hearer.wrote(entry.number, stream, piece[: end - at])
                at, piece = min(end, at + len(piece)), piece[end - at :]
        if piece and self._running:
            self._hearer.wrote(self._running[0], stream, piece)
        self._at[stream] = at + len(piece)
        self._tell()

    def close(self) -> None:
        """No more will come: what was said to have been written, and was not, is not waited for."""
        while self._ended:
            self._hearer.finished(self._ended.popleft())

    def _tell(self) -> None:
        while self._ended and self._all_here(self._ended[0]):
            self._hearer.finished(self._ended.popleft())

    def _all_here(self, entry: Finished) -> bool:
        return self._at["stdout"] >= entry.stdout and self._at["stderr"] >= entry.stderr
