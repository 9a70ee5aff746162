"""Reads a file or folder that a user named as a source: what is in it, and the content of its files.

A link in it is followed if it leads to something in the same folder; a link out of it is refused, for whoever put it
there may want somebody else's file to be read. All is judged on opened files: names can be exchanged in between.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from clbalance.errors import UsageError
from clbalance.model.files import MOST_DEPTH, Entry, FileKind, LeftOut, safe_mode, unsafe_name
from clbalance.user_files.descriptor import Descriptor

_SEEN: Final = os.O_PATH | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CONTENT: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OTHERS: Final = {
    stat.S_IFIFO: "it is a FIFO",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a disk (block device)",
}


class SourceRefusedError(UsageError):
    """A source, or something in it, cannot be read or is not copied."""

    def __init__(self, path: str, reason: str, *, hint: str) -> None:
        super().__init__(f"cannot copy {path!r}: {reason}", hint=hint)
        self.path = path
        self.reason = reason


def open_source(path: str, *, follow: bool = False) -> "SourceTree":
    """The file or folder `path`, opened. A link is followed here: the user named it. `SourceRefusedError`.

    `follow`: follow links in it wherever they lead.
    """
    try:
        fd = os.open(path, _SEEN)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    tree = SourceTree(path=path, fd=fd, follow=follow)
    if reason := unsafe_name(tree.name):
        tree.close()
        raise SourceRefusedError(path, f"its name cannot be used: {reason}", hint="name a file or a folder")
    return tree


class SourceTree(Descriptor):
    """An opened source. Names in it begin with its own name, as in `model.files.Manifest`."""

    def __init__(self, *, path: str, fd: int, follow: bool) -> None:
        super().__init__(fd)
        self.path = path
        """As typed."""
        self._follow = follow
        self._real = _real(fd)
        typed = path.rstrip("/").rpartition("/")[2]
        self.name = self._real.rpartition("/")[2] if typed in {"", ".", ".."} else typed
        """Its last part; of `.` and `..` the name of that folder."""

    def walk(self, *, checksum: bool = False) -> Iterator[Entry | LeftOut]:
        """All that is in it, each folder before what is in it, one at a time; `SourceRefusedError`.

        What vanishes meanwhile was never there. Of what comes meanwhile, some may be missing.
        """
        found = os.fstat(self.fd)
        if stat.S_ISDIR(found.st_mode):
            yield _entry(self.name, found)
            yield from self._in_folder(self.fd, self.name, frozenset(), checksum=checksum)
        elif stat.S_ISREG(found.st_mode):
            yield _entry(self.name, found, self._sum(self.name) if checksum else None)
        else:
            reason = _OTHERS.get(stat.S_IFMT(found.st_mode), "it is no file")
            raise SourceRefusedError(self.path, reason, hint="name a file or a folder")

    def open(self, path: str) -> int:
        """A descriptor of the regular file that `walk` called `path`; `OSError`, `SourceRefusedError`."""
        below = path.removeprefix(self.name).lstrip("/")
        seen = os.open(below, _SEEN, dir_fd=self.fd) if below else os.dup(self.fd)
        try:
            self._check_place(seen, path)
            if not stat.S_ISREG(os.fstat(seen).st_mode):
                raise SourceRefusedError(self._shown(path), "it is no regular file any more", hint="try again")
            return os.open(f"/proc/self/fd/{seen}", _CONTENT)
        finally:
            os.close(seen)

    def _in_folder(
        self, seen: int, path: str, above: frozenset[tuple[int, int]], *, checksum: bool
    ) -> Iterator[Entry | LeftOut]:
        if path.count("/") + 1 >= MOST_DEPTH:
            reason, hint = f"it is more than {MOST_DEPTH} folders deep", "name a folder further down"
            raise SourceRefusedError(self._shown(path), reason, hint=hint)
        try:
            fd = os.open(f"/proc/self/fd/{seen}", _FOLDER)
        except OSError as error:
            raise _unreadable(self._shown(path), error) from error
        try:
            around = above | {_identity(os.fstat(fd))}
            with os.scandir(fd) as names:
                for name in names:
                    yield from self._at_name(fd, f"{path}/{name.name}", around, checksum=checksum)
        finally:
            os.close(fd)

    def _at_name(
        self, folder: int, path: str, around: frozenset[tuple[int, int]], *, checksum: bool
    ) -> Iterator[Entry | LeftOut]:
        try:
            seen = self._opened(folder, path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unreadable(self._shown(path), error) from error
        if isinstance(seen, LeftOut):
            yield seen
            return
        try:
            found = os.fstat(seen)
            kind = stat.S_IFMT(found.st_mode)
            if kind == stat.S_IFREG:
                yield _entry(path, found, self._sum(path) if checksum else None)
            elif kind != stat.S_IFDIR:
                yield LeftOut(path=path, reason=_OTHERS.get(kind, "it is no file"))
            elif _identity(found) in around:
                yield LeftOut(path=path, reason="it is a link to a folder that it is in")
            else:
                yield _entry(path, found)
                yield from self._in_folder(seen, path, around, checksum=checksum)
        finally:
            os.close(seen)

    def _opened(self, folder: int, path: str) -> int | LeftOut:
        """What is under the last part of `path`, opened only to be looked at; a link is followed."""
        name = path.rpartition("/")[2]
        seen = os.open(name, _SEEN | os.O_NOFOLLOW, dir_fd=folder)
        try:
            if not stat.S_ISLNK(os.fstat(seen).st_mode):
                return seen
            target = os.open(name, _SEEN, dir_fd=folder)
        except OSError as error:
            os.close(seen)
            if error.errno not in {errno.ENOENT, errno.ELOOP}:
                raise
            return LeftOut(path=path, reason="it is a link to nothing")
        os.close(seen)
        try:
            self._check_place(target, path)
        except BaseException:
            os.close(target)
            raise
        return target

    def _check_place(self, seen: int, path: str) -> None:
        real = _real(seen)
        if not self._follow and real != self._real and not real.startswith(f"{self._real}/"):
            raise SourceRefusedError(
                self._shown(path),
                f"it is a link that leads out of {self.path!r}",
                hint="remove the link, or copy what such links lead to with `--follow`",
            )

    def _sum(self, path: str) -> str:
        try:
            with os.fdopen(self.open(path), "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(self._shown(path), error) from error

    def _shown(self, path: str) -> str:
        """The path as the user would type it."""
        return self.path.rstrip("/") + path.removeprefix(self.name)


def _real(fd: int) -> str:
    """Where an opened file is now."""
    return str(Path(f"/proc/self/fd/{fd}").readlink())


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _entry(path: str, found: os.stat_result, sha256: str | None = None) -> Entry:
    is_file = stat.S_ISREG(found.st_mode)
    return Entry(
        path=path,
        kind=FileKind.FILE if is_file else FileKind.FOLDER,
        size=found.st_size if is_file else 0,
        mtime_ns=found.st_mtime_ns,
        mode=safe_mode(found.st_mode),
        sha256=sha256,
    )


def _unreadable(path: str, error: OSError | ValueError) -> SourceRefusedError:
    if isinstance(error, FileNotFoundError):
        return SourceRefusedError(path, "there is no such file or folder", hint="check the name")
    reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it is no file name"
    return SourceRefusedError(path, reason, hint="name what you may read")
