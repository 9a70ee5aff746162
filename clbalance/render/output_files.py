"""`--output` and `--error`: what copies print, written to files on this machine, byte for byte."""

import contextlib
import errno
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from clbalance.errors import ClbalanceError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.render.line_cutter import LineCutter
from clbalance.render.streams import STREAMS, JobOutput
from clbalance.render.terminal_filter import TerminalFilter
from clbalance.render.untrusted import visible_line
from clbalance.user_files import (
    CheckedFile,
    FileFailedError,
    FileRefusedError,
    check_folder,
    check_writable,
    open_for_appending,
)

_PLACEHOLDER = re.compile(r"%(.?)", re.DOTALL)
_ALLOWED = "`%j` job number, `%n` node, `%a` attempt, `%t` task, where there are any, `%%` a per cent sign"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNames:
    """The names that a job's output goes by; None leaves a stream where it is."""

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
            raise UsageError(f"`{visible_line(match[0])}` in {pattern!r} is not known", hint=f"use {_ALLOWED}")
        return meanings[match[1]]

    return _PLACEHOLDER.sub(filled, pattern)


def check_pattern(pattern: str, *, has_tasks: bool) -> CheckedFile:
    """`UsageError` where it is known already that no file can be written under such a name. Nothing is made.

    What it returns is to be closed when the files are open, or not wanted.
    """
    expand(pattern, job_id=1, node=NodeName("node"), attempt=1, task=0 if has_tasks else None)
    fixed = _fixed_part(pattern)
    with _refusals(pattern):
        if fixed == pattern.replace("%%", "%"):
            return check_writable(fixed)
        check_folder(fixed or ".")
    return CheckedFile()


def _fixed_part(pattern: str) -> str:
    """What is the same for every copy: all of it, or the folders before the first that is not."""
    begin = next((found.start() for found in _PLACEHOLDER.finditer(pattern) if found[1] != "%"), None)
    known = pattern if begin is None else pattern[: pattern.rfind("/", 0, begin) + 1]
    return known.replace("%%", "%")


@contextlib.contextmanager
def _refusals(pattern: str) -> Iterator[None]:
    """Told of what was typed, with what may be typed."""
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
    """One open file, and which nodes write to it. To a terminal goes nothing that acts on it."""

    def __init__(self, path: str, job_id: int, *, emptied: bool) -> None:
        self._job_id = job_id
        self.nodes: set[NodeName] = set()
        """Several that share it are kept to whole lines; a lone one is copied byte for byte."""
        with _refusals(path):
            # Emptied first, then only appended to, so that whoever else writes there loses nothing.
            self._file = open_for_appending(path, emptied=emptied)
        self._filter = TerminalFilter() if self._file.is_terminal else None

    def append(self, data: bytes) -> None:
        """All of it, now: what the job has printed can be read while it runs."""
        try:
            self._file.append(data if self._filter is None else self._filter.feed(data))
        except FileFailedError as error:
            job = self._job_id
            hint = f"the job goes on: `clbalance jobs {job}` shows it, `clbalance cancel {job}` ends it"
            raise ClbalanceError(error.message, hint=hint) from error

    def close(self) -> None:
        """Write no more."""
        with contextlib.closing(self._file):
            if self._filter is not None:
                self._file.append(self._filter.finish())


class OutputFiles:
    """Opens every file before the job starts, once each however many copies write to it; the rest goes `otherwise`."""

    def __init__(self, names: FileNames, nodes: Sequence[NodeName], otherwise: JobOutput) -> None:
        self._otherwise = otherwise
        self._cutters: dict[tuple[NodeName, str], LineCutter] = {}
        self._targets: dict[tuple[NodeName, str], OutputFile] = {}
        self._open: dict[str, OutputFile] = {}
        try:
            for node in nodes:
                for stream in STREAMS:
                    self._assign(node, stream, names)
        except BaseException:
            self._close_files()
            raise

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
        for stream in STREAMS:
            if cutter := self._cutters.pop((node, stream), None):
                self._targets[node, stream].append(b"".join(rest + b"\n" for rest in cutter.finish()))
        self._otherwise.end(node)

    def close(self) -> None:
        for node in dict.fromkeys(node for node, _ in self._cutters):
            self.end(node)
        self._close_files()
        self._otherwise.close()

    def _assign(self, node: NodeName, stream: str, names: FileNames) -> None:
        path = names.of(node, stream)
        if path is None:
            return
        if path not in self._open:
            self._open[path] = OutputFile(path, names.job_id, emptied=True)
        self._open[path].nodes.add(node)
        self._targets[node, stream] = self._open[path]

    def _close_files(self) -> None:
        for file in self._open.values():
            file.close()
