"""`--output` and `--error`: what copies print, written to files on this machine, byte for byte."""

import os
import re
import tempfile
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
    if fixed == pattern.replace("%%", "%"):
        check_file(fixed, told=pattern)
    elif wrong := _wrong_folder(os.path.split(fixed)[0]):
        raise _cannot_write(pattern, OSError(wrong, os.strerror(wrong)))


def check_file(path: str, told: str | None = None) -> None:
    """`UsageError` where it is known already that this file cannot be written. Nothing is made."""
    folder, name = os.path.split(path)
    wrong = ENOENT if not path else _wrong_folder(folder)
    if not wrong:
        wrong = EISDIR if not name or Path(path).is_dir() else _refused(path, folder)
    if wrong:
        raise _cannot_write(path if told is None else told, OSError(wrong, os.strerror(wrong)))


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


def _wrong_folder(folder: str) -> int:
    there = Path(folder or ".")
    if not there.exists():
        return ENOENT
    return 0 if there.is_dir() else ENOTDIR


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
    """One file, opened when there is something to write, unbuffered: what has been printed can be read meanwhile."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.nodes: set[NodeName] = set()
        """Several that share it are kept to whole lines; a lone one is copied byte for byte."""
        self._fd = -1

    def append(self, data: bytes) -> None:
        """Write `data`; the first time, in the place of what is there."""
        if data:
            self.open()
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise ClbalanceError(f"cannot write {self.path!r}: {error.strerror}") from error

    def open(self) -> None:
        """Empty it, once; also where nothing will be written to it."""
        if self._fd >= 0:
            return
        try:
            # Emptied first, then only appended to, so that whoever else writes there loses nothing.
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _cannot_write(self.path, error) from error

    def keep(self) -> None:
        """It is whole."""

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _WholeFile(_File):
    """Written beside the file that it replaces, and put in its place when it is whole."""

    def open(self) -> None:
        if self._fd >= 0:
            return
        try:
            self._fd, self._draft = tempfile.mkstemp(prefix=".clbalance-", dir=str(Path(self.path).parent))
        except OSError as error:
            raise _cannot_write(self.path, error) from error

    def keep(self) -> None:
        if self._fd >= 0:
            Path(self._draft).replace(self.path)

    def close(self) -> None:
        if self._fd >= 0:
            Path(self._draft).unlink(missing_ok=True)
        super().close()


def _open_hint(path: str, error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return f"make the folder first: `mkdir -p {Path(path).parent}`"
        case IsADirectoryError():
            return f"name a file in it: `{Path(path) / 'job-%j-%n.out'}`"
        case _:
            return f"placeholders: {_ALLOWED}"


class OutputFiles:
    """The output files of one attempt, one for each name that the patterns make; the rest goes `otherwise`.

    `UsageError` where one cannot be written. What a file held is gone when a copy that writes to it prints something,
    or ends; with `whole` the file stays as it is until `keep`.
    """

    def __init__(
        self, names: FileNames, nodes: Sequence[NodeName], otherwise: JobOutput, *, whole: bool = False
    ) -> None:
        self._otherwise = otherwise
        self._cutters: dict[tuple[NodeName, str], LineCutter] = {}
        self._targets: dict[tuple[NodeName, str], _File] = {}
        self._files: dict[str, _File] = {}
        for node in nodes:
            for stream in STREAMS:
                if (path := names.of(node, stream)) is not None:
                    if path not in self._files:
                        check_file(path)
                        self._files[path] = _WholeFile(path) if whole else _File(path)
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
        """A copy that has printed nothing leaves an empty file: it tells that the copy ran."""
        for stream in STREAMS:
            if target := self._targets.get((node, stream)):
                cutter = self._cutters.pop((node, stream), None)
                target.open()
                target.append(b"".join(rest + b"\n" for rest in cutter.finish()) if cutter else b"")
        self._otherwise.end(node)

    def keep(self) -> None:
        """Every file has all that its copies have printed."""
        for file in self._files.values():
            file.keep()

    def close(self) -> None:
        for node, stream in tuple(self._cutters):
            rest = self._cutters.pop((node, stream)).finish()
            self._targets[node, stream].append(b"".join(one + b"\n" for one in rest))
        for file in self._files.values():
            file.close()
        self._otherwise.close()
