"""`--output` and `--error` of tasks: a file for each name that the pattern makes, written as the tasks go along."""

from clbalance.errors import ClbalanceError, UsageError
from clbalance.model import NodeName
from clbalance.render.output_files import FileNames, OutputFile
from clbalance.render.streams import STREAMS

_KEPT_OPEN = 64


class TaskFiles:
    """Files are opened when there is something to write, or a task ends; the first time in a run they are emptied."""

    def __init__(self, names: FileNames) -> None:
        self._names = names
        self._seen: set[str] = set()
        self._open: dict[str, OutputFile] = {}
        for stream in STREAMS:  # a pattern that cannot be meant is told before anything is started
            names.of(NodeName("node"), stream, task=0)

    def write(self, task: int, node: NodeName, stream: str, piece: bytes) -> bool:
        """Whether that stream goes to a file."""
        path = self._names.of(node, stream, task=task)
        if path is None:
            return False
        self._file(path).append(piece)
        return True

    def end(self, task: int, node: NodeName) -> None:
        """A task that has printed nothing leaves empty files: they tell that it ran."""
        for stream in STREAMS:
            path = self._names.of(node, stream, task=task)
            if path is not None and path not in self._seen:
                self._file(path)

    def close(self) -> None:
        """Write no more."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _file(self, path: str) -> OutputFile:
        if path in self._open:
            return self._open[path]
        if len(self._open) >= _KEPT_OPEN:
            self._open.pop(next(iter(self._open))).close()
        try:
            self._open[path] = OutputFile(path, self._names.job_id, emptied=path not in self._seen)
        except UsageError as error:  # by now it is no mistake of typing
            raise ClbalanceError(error.message, hint=error.hint) from error
        self._seen.add(path)
        return self._open[path]
