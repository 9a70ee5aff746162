"""`--output` and `--error` of tasks: a file for each name that the pattern makes, written as the tasks go along."""

import os

from clbalance.errors import ClbalanceError
from clbalance.model import NodeName
from clbalance.render.output_files import FileNames
from clbalance.render.streams import STREAMS

_KEPT_OPEN = 64


class TaskFiles:
    """Files are opened when there is something to write, or a task ends; the first time in a run they are emptied."""

    def __init__(self, names: FileNames) -> None:
        self._names = names
        self._seen: set[str] = set()
        self._open: dict[str, int] = {}
        for stream in STREAMS:  # a pattern that cannot be meant is told before anything is started
            names.of(NodeName("node"), stream, task=0)

    def write(self, task: int, node: NodeName, stream: str, piece: bytes) -> bool:
        """Whether that stream goes to a file."""
        path = self._names.of(node, stream, task=task)
        if path is None:
            return False
        fd = self._fd(path)
        try:
            while piece:
                piece = piece[os.write(fd, piece) :]
        except OSError as error:
            raise ClbalanceError(f"cannot write {path!r}: {error.strerror}") from error
        return True

    def end(self, task: int, node: NodeName) -> None:
        """A task that has printed nothing leaves empty files: they tell that it ran."""
        for stream in STREAMS:
            path = self._names.of(node, stream, task=task)
            if path is not None and path not in self._seen:
                self._fd(path)

    def close(self) -> None:
        """Write no more."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def _fd(self, path: str) -> int:
        if path in self._open:
            return self._open[path]
        if len(self._open) >= _KEPT_OPEN:
            os.close(self._open.pop(next(iter(self._open))))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (0 if path in self._seen else os.O_TRUNC)
        try:
            self._open[path] = os.open(path, flags, 0o666)
        except OSError as error:
            raise ClbalanceError(f"cannot write {path!r}: {error.strerror}") from error
        self._seen.add(path)
        return self._open[path]
