"""`--output` and `--error`: write the output of copies and tasks to files on this machine, byte for byte."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from clbalance.errors import ClbalanceError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.render.output.grouped import LineCutter
from clbalance.render.output.streams import STREAMS, JobOutput, TerminalFilter
from clbalance.render.text import escape_line
from clbalance.user_files import (
    AppendedFile,
    CheckedFile,
    Draft,
    FileRefusedError,
    check_folder,
    check_writable,
    open_draft,
    open_for_appending,
)

_PLACEHOLDER = re.compile(r"%(.?)", re.DOTALL)
_ALLOWED = "`%j` job number, `%n` node, `%a` attempt, `%t` task, where there are any, `%%` a per cent sign"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNames:
    """The file names of a job's output; None: the stream goes to no file."""

    job_id: int
    attempt: int
    output: str | None
    error: str | None
    """None with `output` given: errors go to the same file, as with `sbatch`."""

    def of(self, node: NodeName, stream: str, task: int | None = None) -> str | None:
        """The file for one stream of one copy, or of one task."""
        pattern = self.error or self.output if stream == "stderr" else self.output
        if pattern is None:
            return None
        return expand(pattern, job_id=self.job_id, node=node, attempt=self.attempt, task=task)


def expand(pattern: str, *, job_id: int, node: NodeName, attempt: int, task: int | None = None) -> str:
    """`pattern` with its placeholders filled in; an unknown one is a `UsageError`."""
    meanings = {"j": str(job_id), "n": node, "a": str(attempt), "%": "%"}
    if task is not None:
        meanings["t"] = str(task)

    def filled(match: re.Match[str]) -> str:
        if match[1] not in meanings:
            raise UsageError(f"`{escape_line(match[0])}` in {pattern!r} is not known", hint=f"use {_ALLOWED}")
        return meanings[match[1]]

    return _PLACEHOLDER.sub(filled, pattern)


def check_pattern(pattern: str, *, has_tasks: bool) -> CheckedFile:
    """`UsageError` if files of this name certainly cannot be written. Nothing is created.

    Close the result when the files are open, or not needed.
    """
    expand(pattern, job_id=1, node=NodeName("node"), attempt=1, task=0 if has_tasks else None)
    fixed = _fixed_part(pattern)
    with _refusals(pattern):
        if fixed == pattern.replace("%%", "%"):
            return check_writable(fixed)
        check_folder(fixed or ".")
    return CheckedFile()


def might_name(pattern: str, path: str) -> bool:
    """Whether one of the files that an absolute `pattern` makes can be the file at `path`."""
    if Path(path).exists() and Path(_fixed_part(pattern)).is_file() and Path(path).samefile(_fixed_part(pattern)):
        return True
    parts = (
        re.escape(part) if at % 2 == 0 else re.escape("%") if part == "%" else "[^/]+"
        for at, part in enumerate(_PLACEHOLDER.split(os.path.normpath(pattern)))
    )
    anything = re.compile("".join(parts), re.DOTALL)
    return any(anything.fullmatch(str(name)) for name in (Path(path).absolute(), Path(path).resolve()))


def _fixed_part(pattern: str) -> str:
    """The part of the path that is the same for every copy: all of it, or the folders before the first placeholder."""
    begin = next((found.start() for found in _PLACEHOLDER.finditer(pattern) if found[1] != "%"), None)
    known = pattern if begin is None else pattern[: pattern.rfind("/", 0, begin) + 1]
    return known.replace("%%", "%")


@contextlib.contextmanager
def _refusals(pattern: str) -> Iterator[None]:
    """Turns a refused file into a `UsageError` with the pattern and a hint what to type."""
    try:
        yield
    except FileRefusedError as error:
        match error.number:
            case errno.ENOENT:
                hint = f"make the folder first: `mkdir -p {Path(pattern).parent}`"
            case errno.EISDIR:
                hint = f"name a file in it: `{Path(pattern) / 'job-%j-%n.out'}`"
            case 0:
                hint = error.hint
            case _:
                hint = f"placeholders: {_ALLOWED}"
        raise UsageError(f"cannot write {pattern!r}: {error.reason}", hint=hint) from error


class OutputFile:
    """One file, opened at the first write. Its old content is deleted then, unless it is `kept`.

    Output to a terminal is filtered.
    """

    def __init__(self, path: str, *, kept: bool = False) -> None:
        self.path = path
        self.nodes: set[NodeName] = set()
        """The nodes that write to it. Several write whole lines only; a single one is copied byte for byte."""
        self._kept = kept
        self._file: AppendedFile | None = None
        self._filter: TerminalFilter | None = None

    def append(self, data: bytes) -> None:
        """Write at once, so that the output can be read while the job runs."""
        if data:
            file = self._opened()
            file.append(data if self._filter is None else self._filter.feed(data))

    def open(self) -> None:
        """Create the file, even if nothing is written to it."""
        self._opened()

    def _opened(self) -> AppendedFile:
        if self._file is None:
            with _refusals(self.path):
                # Emptied once, then only appended to, so that output of other writers is not overwritten.
                self._file = open_for_appending(self.path, emptied=not self._kept)
            self._filter = TerminalFilter() if self._file.is_terminal else None
        return self._file

    def keep(self) -> None:
        """Nothing: the file is in its place already."""

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.closing(file):
                if self._filter is not None:
                    file.append(self._filter.finish())


class WholeFile:
    """A file that is written next to the one that it replaces, and takes its place when it is whole."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.nodes: set[NodeName] = set()
        self._draft: Draft | None = None

    def append(self, data: bytes) -> None:
        """Write all of `data`."""
        if data:
            self._opened().append(data)

    def open(self) -> None:
        """Create the file, even if nothing is written to it."""
        self._opened()

    def keep(self) -> None:
        """The file is whole: put it in its place."""
        if self._draft is not None:
            self._draft.keep()

    def close(self) -> None:
        """Close the file. Without `keep`, the old one stays."""
        if self._draft is not None:
            self._draft.close()

    def _opened(self) -> Draft:
        if self._draft is None:
            with _refusals(self.path):
                self._draft = open_draft(self.path)
        return self._draft


class OutputFiles:
    """The output files of one attempt, one for each name that the patterns make; other streams go to `otherwise`.

    `UsageError` if a file cannot be written. The old content is deleted when a copy first prints to the file, or ends;
    with `whole`, the old file stays until `keep`.
    """

    def __init__(
        self, names: FileNames, nodes: Sequence[NodeName], otherwise: JobOutput, *, whole: bool = False
    ) -> None:
        self._otherwise = otherwise
        self._cutters: dict[tuple[NodeName, str], LineCutter] = {}
        self._targets: dict[tuple[NodeName, str], OutputFile | WholeFile] = {}
        self._files: dict[str, OutputFile | WholeFile] = {}
        for node in nodes:
            for stream in STREAMS:
                if (path := names.of(node, stream)) is not None:
                    if path not in self._files:
                        with _refusals(path), check_writable(path, replaced=whole):
                            pass
                        self._files[path] = WholeFile(path) if whole else OutputFile(path)
                    self._files[path].nodes.add(node)
                    self._targets[node, stream] = self._files[path]

    def write(self, node: NodeName, stream: str, piece: bytes) -> None:
        target = self._targets.get((node, stream))
        if target is None:
            self._otherwise.write(node, stream, piece)
        elif len(target.nodes) == 1:
            target.append(piece)
        else:
            cutter = self._cutters.setdefault((node, stream), LineCutter())
            target.append(b"".join(cutter.feed(piece)))

    def end(self, node: NodeName) -> None:
        """The copy has ended. If it printed nothing, it leaves an empty file, which shows that it ran."""
        for stream in STREAMS:
            if target := self._targets.get((node, stream)):
                cutter = self._cutters.pop((node, stream), None)
                target.open()
                target.append(b"".join(rest + b"\n" for rest in cutter.finish()) if cutter else b"")
        self._otherwise.end(node)

    def keep(self) -> None:
        """The files have all output of their copies: put them in their places."""
        for file in self._files.values():
            file.keep()

    def close(self) -> None:
        for node, stream in tuple(self._cutters):
            rest = self._cutters.pop((node, stream)).finish()
            self._targets[node, stream].append(b"".join(one + b"\n" for one in rest))
        for file in self._files.values():
            file.close()
        self._otherwise.close()


# `--output` and `--error` of tasks.

_KEPT_OPEN = 64  # files


class TaskFiles:
    """The output files of tasks, each opened and emptied at the first write, or when its task ends.

    `goes_on`: tasks of this job were run before, so files that several tasks share are not emptied.
    """

    def __init__(self, names: FileNames, *, goes_on: bool = False) -> None:
        self._names = names
        self._goes_on = goes_on
        self._seen: set[str] = set()
        self._open: dict[str, OutputFile] = {}
        # Raises for a bad pattern before anything is started.
        of_two = {stream: [names.of(NodeName("node"), stream, task=task) for task in (0, 1)] for stream in STREAMS}
        self._streams = frozenset(stream for stream, (first, _) in of_two.items() if first is not None)
        self._shared = frozenset(stream for stream, (first, second) in of_two.items() if first == second)
        """The streams of which several tasks write to one file."""

    def takes(self, stream: str) -> bool:
        """Whether the stream goes to files."""
        return stream in self._streams

    def write(self, task: int, node: NodeName, stream: str, piece: bytes) -> None:
        """The next piece of a task's stream."""
        path = self._names.of(node, stream, task=task)
        if path is not None:
            self._file(path, is_shared=stream in self._shared).append(piece)

    def end(self, task: int, node: NodeName) -> None:
        """The task has ended. If it printed nothing, it leaves empty files, which show that it ran."""
        for stream in STREAMS:
            path = self._names.of(node, stream, task=task)
            if path is not None and path not in self._seen:
                self._file(path, is_shared=stream in self._shared)

    def close(self) -> None:
        """Close the files."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _file(self, path: str, *, is_shared: bool) -> OutputFile:
        """The open file. It is emptied at first, unless tasks of this job have written it."""
        if path in self._open:
            return self._open[path]
        if len(self._open) >= _KEPT_OPEN:
            self._open.pop(next(iter(self._open))).close()
        file = OutputFile(path, kept=path in self._seen or (is_shared and self._goes_on))
        try:
            file.open()
        except UsageError as error:  # at this time it is not a usage error any more
            raise ClbalanceError(error.message, hint=error.hint) from error
        self._open[path] = file
        self._seen.add(path)
        return file
