"""The files of this machine that are sent. Each is read as it is now, and must stay so until it is read whole.

Small files are kept for the next nodes, which need them as well, within a bound.
"""

import errno
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeAlias

from clbalance.engine.files.frames import PIECE_BYTES, checksum
from clbalance.engine.files.values import FileError, Source
from clbalance.lazy_dataclass import dataclass
from clbalance.model.files import Entry, Manifest, top_of
from clbalance.user_files.trees import SourceRefusedError

_KEPT_BYTES: Final = 64 << 20
_KEPT_COST: Final = 512  # that each kept file counts on top of its size
_REASONS: Final = {errno.ELOOP: "it has become a link", errno.ENOENT: "it has vanished"}


@dataclass(frozen=True, slots=True)
class SmallFile:
    """The whole content of a file."""

    entry: Entry
    content: bytes
    checksum: bytes


class LargeFile:
    """A file that is read in pieces. After the last one, `checksum` is that of the whole."""

    def __init__(self, path: str, entry: Entry, fd: int) -> None:
        self.path = path
        self.entry = entry
        self.checksum = b""
        self._fd = fd

    def pieces(self) -> Iterator[memoryview]:
        """The content; each piece is good until the next one. `FileError` if it is no longer what it was."""
        crc = 0
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
            crc = zlib.crc32(buffer[:count], crc)
            yield buffer[:count]
        _check_unchanged(self.path, self.entry, self._fd)
        self.checksum = checksum(crc)

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


LocalFile: TypeAlias = SmallFile | LargeFile


class _Kept:
    """Small files that were read for a node and that others need."""

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


class LocalFiles:
    """Opens the files of sources. Threads share it."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self.manifest = Manifest(entries={one.path: one for part in sources for one in part.manifest})
        self._kept = _Kept()
        self._trees = {source.tree.name: source.tree for source in sources}

    def open(self, entry: Entry) -> LocalFile:
        """The file as it is now. `FileError` if it cannot be read. Close a large one."""
        if (kept := self._kept.get(entry.path)) is not None:
            return kept
        try:
            fd = self._trees[top_of(entry.path)].open(entry.path)
        except SourceRefusedError as error:
            raise FileError(entry.path, error.reason) from error
        except OSError as error:
            raise _failed(entry.path, error) from error
        try:
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode):
                raise FileError(entry.path, "it is no regular file any more")
            now = replace(entry, size=facts.st_size, mtime_ns=facts.st_mtime_ns, sha256=None)
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
        file = SmallFile(entry, content, checksum(zlib.crc32(content)))
        self._kept.keep(entry.path, file)
        return file


def _check_unchanged(path: str, entry: Entry, fd: int) -> None:
    facts = os.fstat(fd)
    if facts.st_size != entry.size:
        raise FileError(path, "it grew while it was read" if facts.st_size > entry.size else "it shrank meanwhile")
    if facts.st_mtime_ns != entry.mtime_ns:
        raise FileError(path, "it changed while it was read")


def _failed(path: str, error: OSError) -> FileError:
    number = error.errno or 0
    return FileError(path, _REASONS.get(number) or os.strerror(number))
