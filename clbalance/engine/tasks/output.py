"""Split a slot's output into that of its tasks. Pure, apart from calls of the listener."""

from collections import deque
from typing import Protocol

from clbalance.engine.agent.job_messages import TaskFinished


class TaskOutputListener(Protocol):
    """Is told of the output and ends of tasks."""

    def wrote(self, number: int, stream: str, piece: bytes) -> None:
        """A piece of a task's output."""
        ...

    def finished(self, entry: TaskFinished) -> None:
        """A task has ended, and all its output was passed on."""
        ...


class TaskOutputSplitter:
    """Splits the output of one slot.

    The tasks of a slot run one after the other, and an agent reports the end of one before the output of the next.
    So output beyond the last known end belongs to the running task.
    """

    def __init__(self, listener: TaskOutputListener) -> None:
        self._listener = listener
        self._running: deque[int] = deque()
        self._ended: deque[TaskFinished] = deque()
        self._at = {"stdout": 0, "stderr": 0}

    def began(self, number: int) -> None:
        """The task runs, or is the next to run."""
        self._running.append(number)

    def returned(self, number: int) -> None:
        """The task will not run in this slot."""
        if number in self._running:
            self._running.remove(number)

    def finished(self, entry: TaskFinished) -> None:
        """The log has the end of a task; its output may still arrive."""
        self.returned(entry.number)
        self._ended.append(entry)
        self._tell()

    def write(self, stream: str, piece: bytes) -> None:
        """Take the next piece of a stream."""
        at = self._at[stream]
        for entry in self._ended:
            end = entry.stdout if stream == "stdout" else entry.stderr
            if piece and end > at:
                self._listener.wrote(entry.number, stream, piece[: end - at])
                at, piece = min(end, at + len(piece)), piece[end - at :]
        if piece and self._running:
            self._listener.wrote(self._running[0], stream, piece)
        self._at[stream] = at + len(piece)
        self._tell()

    def close(self) -> None:
        """No more output follows: report ended tasks even if some of their announced output is missing."""
        while self._ended:
            self._listener.finished(self._ended.popleft())

    def _tell(self) -> None:
        while self._ended and self._all_here(self._ended[0]):
            self._listener.finished(self._ended.popleft())

    def _all_here(self, entry: TaskFinished) -> bool:
        return self._at["stdout"] >= entry.stdout and self._at["stderr"] >= entry.stderr
