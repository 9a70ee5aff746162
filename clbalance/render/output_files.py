"""`--output` and `--error`: what copies print, written to files on this machine, byte for byte."""

import os
import re
from collections.abc import Sequence
from errno import EACCES, EISDIR, ENOENT, ENOTDIR
from pathlib import Path

from clbalance.errors import ClbalanceError, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.render.line_cutter import LineCutter
from clbalance.render.streams import STREAMS, JobOutput
from clbalance.render.untrusted import visible_line

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


def check_pattern(pattern: str, *, has_tasks: bool) -> None:
    """`UsageError` where it is known already that no file can be written under such a name. Nothing is made."""
    expand(pattern, job_id=1, node=NodeName("node"), attempt=1, task=0 if has_tasks else None)
    fixed = _fixed_part(pattern)
    folder, name = os.path.split(fixed)
    is_whole = fixed == pattern.replace("%%", "%")
    if not pattern or not Path(folder or ".").exists():
        wrong = ENOENT
    elif not Path(folder or ".").is_dir():
        wrong = ENOTDIR
    elif is_whole and (not name or Path(fixed).is_dir()):
        wrong = EISDIR
    else:
        wrong = _refused(fixed, folder) if is_whole else 0
    if wrong:
        raise _cannot_write(pattern, OSError(wrong, os.strerror(wrong)))


def _fixed_part(pattern: str) -> str:
    """What is the same for every copy: all of it, or the folders before the first that is not."""
    begin = next((found.start() for found in _PLACEHOLDER.finditer(pattern) if found[1] != "%"), None)
    known = pattern if begin is None else pattern[: pattern.rfind("/", 0, begin) + 1]
    return known.replace("%%", "%")


def _refused(path: str, folder: str) -> int:
    """The error that opening it would end with, so far as permissions tell."""
    there = path if Path(path).exists() else folder or "."
    return 0 if os.access(there, os.W_OK) else EACCES


def _cannot_write(path: str, error: OSError) -> UsageError:
    return UsageError(f"cannot write {path!r}: {error.strerror}", hint=_open_hint(path, error))


class _File:
    """One open file, unbuffered: what the job has printed can be read while it runs."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.nodes: set[NodeName] = set()
        """Several that share it are kept to whole lines; a lone one is copied byte for byte."""
        try:
            # Emptied first, then only appended to, so that whoever else writes there loses nothing.
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _cannot_write(path, error) from error
        self._file = open(fd, "wb", buffering=0)  # noqa: SIM115, PTH123 - closed by OutputFiles.close

    def append(self, data: bytes) -> None:
        try:
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError as error:
            raise ClbalanceError(f"cannot write {self.path!r}: {error.strerror}") from error

    def close(self) -> None:
        self._file.close()


def _open_hint(path: str, error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return f"make the folder first: `mkdir -p {Path(path).parent}`"
        case IsADirectoryError():
            return f"name a file in it: `{Path(path) / 'job-%j-%n.out'}`"
        case _:
            return f"placeholders: {_ALLOWED}"


class OutputFiles:
    """Opens every file before the job starts, once each however many copies write to it; the rest goes `otherwise`."""

    def __init__(self, names: FileNames, nodes: Sequence[NodeName], otherwise: JobOutput) -> None:
        self._otherwise = otherwise
        self._cutters: dict[tuple[NodeName, str], LineCutter] = {}
        self._targets: dict[tuple[NodeName, str], _File] = {}
        self._open: dict[str, _File] = {}
        try:
            for node in nodes:
                for stream in STREAMS:
                    self._assign(node, stream, names.of(node, stream))
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

    def _assign(self, node: NodeName, stream: str, path: str | None) -> None:
        if path is None:
            return
        if path not in self._open:
            self._open[path] = _File(path)
        self._open[path].nodes.add(node)
        self._targets[node, stream] = self._open[path]

    def _close_files(self) -> None:
        for file in self._open.values():
            file.close()
