"""`--output` and `--error` of tasks: a file for each name that the pattern makes, written as the tasks go along."""

from clbalance.errors import ClbalanceError, UsageError
from clbalance.model import NodeName
from clbalance.render.output_files import FileNames, OutputFile
from clbalance.render.streams import STREAMS

_KEPT_OPEN = 64


class TaskFiles:
    """Files are opened when there is something to write, or a task ends; the first time in a run they are emptied.

    `goes_on`: tasks of this job have been run before, and what files of several tasks hold of them stays.
    """

    def __init__(self, names: FileNames, *, goes_on: bool = False) -> None:
        self._names = names
        self._goes_on = goes_on
        self._seen: set[str] = set()
        self._open: dict[str, OutputFile] = {}
        for stream in STREAMS:  # a pattern that cannot be meant is told before anything is started
            names.of(NodeName("node"), stream, task=0)

    def takes(self, stream: str) -> bool:
        """Whether that stream goes to files."""
        return self._names.of(NodeName("node"), stream, task=0) is not None

    def write(self, task: int, node: NodeName, stream: str, piece: bytes) -> None:
        """The next piece of a stream that it takes."""
        path = self._names.of(node, stream, task=task)
        if path is not None:
            self._file(path, is_shared=self._is_shared(node, stream)).append(piece)

    def end(self, task: int, node: NodeName) -> None:
        """A task that has printed nothing leaves empty files: they tell that it ran."""
        for stream in STREAMS:
            path = self._names.of(node, stream, task=task)
            if path is not None and path not in self._seen:
                self._file(path, is_shared=self._is_shared(node, stream))

    def close(self) -> None:
        """Write no more."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _is_shared(self, node: NodeName, stream: str) -> bool:
        """Whether several tasks write to one file."""
        return self._names.of(node, stream, task=0) == self._names.of(node, stream, task=1)

    def _file(self, path: str, *, is_shared: bool) -> OutputFile:
        """Open; what it held is gone, unless tasks of this job have written it."""
        if path in self._open:
            return self._open[path]
        if len(self._open) >= _KEPT_OPEN:
            self._open.pop(next(iter(self._open))).close()
        file = OutputFile(path, kept=path in self._seen or (is_shared and self._goes_on))
        try:
            file.open()
        except UsageError as error:  # by now it is no mistake of typing
            raise ClbalanceError(error.message, hint=error.hint) from error
        self._open[path] = file
        self._seen.add(path)
        return file
