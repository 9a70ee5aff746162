"""The files of this machine that are sent. Each is read as it is now, and must stay so until it is read whole.

Folders below a source are opened one by one, through no link: what a source names cannot be exchanged meanwhile for a
way to another file. Small files are kept for the next nodes, which get the same, within a bound.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

from clbalance.engine.files.frames import PIECE_BYTES
from clbalance.engine.files.values import FileError, Source
from clbalance.lazy_dataclass import dataclass
from clbalance.model.files import Entry, safe_mode

_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO that took its place hangs nobody
_KEPT_BYTES: Final = 64 << 20
_KEPT_COST: Final = 512  # that each kept file counts on top of its size
_REASONS: Final = {errno.ELOOP: "it has become a link", errno.ENOENT: "it has vanished"}


@dataclass(frozen=True, slots=True)
class SmallFile:
    """The whole content of a file."""

    entry: Entry
    content: bytes
    checksum: bytes


class Kept:
    """Small files that were read for a node and that others need. Threads share it."""

    def __init__(self) -> None:
        self._files: dict[str, SmallFile] = {}
        self._left = _KEPT_BYTES

    def get(self, path: str) -> SmallFile | None:
        """The file, if it is kept."""
        return self._files.get(path)

    def keep(self, path: str, file: SmallFile) -> None:
        """Keep it if there is room."""
        cost = len(file.content) + _KEPT_COST
        if cost <= self._left:
            self._left -= cost
            self._files[path] = file


class LargeFile:
    """A file that is read in pieces. After the last one, `checksum` is that of the whole."""

    def __init__(self, path: str, entry: Entry, fd: int) -> None:
        self.path = path
        self.entry = entry
        self.checksum = b""
        self._fd = fd

    def pieces(self) -> Iterator[memoryview]:
        """The content; each piece is good until the next one. `FileError` if it is no longer what it was."""
        hashed = hashlib.sha256()
        buffer = memoryview(bytearray(PIECE_BYTES))
        left = self.entry.size
        while left:
            try:
                count = os.readv(self._fd, [buffer[: min(left, PIECE_BYTES)]])
            except OSError as error:
                raise _failed(self.path, error) from error
            if not count:
                raise FileError(self.path, "it shrank while it was read")
            left -= count
            hashed.update(buffer[:count])
            yield buffer[:count]
        _check_unchanged(self.path, self.entry, self._fd)
        self.checksum = hashed.digest()

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


LocalFile: TypeAlias = SmallFile | LargeFile


class LocalFiles:
    """Opens the files of sources, in the order of their names; one per thread."""

    def __init__(self, sources: tuple[Source, ...], kept: Kept) -> None:
        self._kept = kept
        self._tops = {Path(source.path).name: source.path for source in sources}
        self._names: list[str] = []
        self._folders: list[int] = []

    def open(self, entry: Entry) -> LocalFile:
        """The file as it is now. `FileError` if it cannot be read. Close a large one."""
        if (kept := self._kept.get(entry.path)) is not None:
            return kept
        try:
            fd = self._opened(entry.path)
        except OSError as error:
            raise _failed(entry.path, error) from error
        try:
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode):
                raise FileError(entry.path, "it is no regular file any more")
            now = replace(
                entry, size=facts.st_size, mtime_ns=facts.st_mtime_ns, mode=safe_mode(facts.st_mode), sha256=None
            )
            if now.size > PIECE_BYTES:
                large, fd = LargeFile(entry.path, now, fd), -1
                return large
            return self._small(now, fd)
        finally:
            if fd >= 0:
                os.close(fd)

    def _small(self, entry: Entry, fd: int) -> SmallFile:
        try:
            content = os.read(fd, entry.size + 1)
        except OSError as error:
            raise _failed(entry.path, error) from error
        if len(content) != entry.size:
            grew = len(content) > entry.size
            raise FileError(entry.path, "it grew while it was read" if grew else "it shrank while it was read")
        _check_unchanged(entry.path, entry, fd)
        file = SmallFile(entry, content, hashlib.sha256(content).digest())
        self._kept.keep(entry.path, file)
        return file

    def _opened(self, path: str) -> int:
        top, *below = path.split("/")
        if not below:
            return os.open(self._tops[top], _FILE)
        above = [top, *below[:-1]]
        common = 0
        for one, other in zip(above, self._names, strict=False):
            if one != other:
                break
            common += 1
        while len(self._names) > common:
            self._names.pop()
            os.close(self._folders.pop())
        for name in above[common:]:
            if self._folders:
                folder = os.open(name, _FOLDER, dir_fd=self._folders[-1])
            else:
                folder = os.open(self._tops[name], _FOLDER)
            self._names.append(name)
            self._folders.append(folder)
        return os.open(below[-1], _FILE, dir_fd=self._folders[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._folders:
            os.close(self._folders.pop())


def _check_unchanged(path: str, entry: Entry, fd: int) -> None:
    facts = os.fstat(fd)
    if facts.st_size != entry.size:
        raise FileError(path, "it grew while it was read" if facts.st_size > entry.size else "it shrank meanwhile")
    if facts.st_mtime_ns != entry.mtime_ns:
        raise FileError(path, "it changed while it was read")


def _failed(path: str, error: OSError) -> FileError:
    number = error.errno or 0
    return FileError(path, _REASONS.get(number) or os.strerror(number))
