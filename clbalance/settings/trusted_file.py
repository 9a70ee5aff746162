"""The rule for every configuration file that can make a command run: no other user may be able to write it.

The file and every folder from `/` down to it must belong to root or to us (for root: to root alone), and others must
not be able to write to it. Its group may write, except if the reader is root. A sticky folder such as `/tmp` may be
writable, because others cannot replace our files in it (docs/design/settings.md).

The path is opened step by step with descriptors, so the folders that were checked are the ones that were used.
"""

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath

from clbalance.errors import SettingsError
from clbalance.lazy_dataclass import dataclass

_MAX_LINKS = 40  # the kernel's limit
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO put in the file's place would block for ever.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OTHERS = stat.S_IWOTH
_GROUP_AND_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminedFile:
    """The content of a file, and why it must not be used; None: it may be used."""

    content: bytes
    fault: SettingsError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """The reading user `uid`, and the users that files may belong to."""

    uid: int
    owners: frozenset[int]

    @classmethod
    def here(cls, *owners: int) -> "Reader":
        """This process; files of `owners` are trusted too."""
        return cls(uid=os.geteuid(), owners=frozenset({0, os.geteuid(), *owners}))

    @property
    def forbidden(self) -> int:
        """The mode bits that let other users write."""
        return _OTHERS if self.uid else _GROUP_AND_OTHERS


def read_trusted(path: Path, max_bytes: int) -> bytes:
    """The content of `path`; `SettingsError` if it must not be used, `OSError` if it cannot be read."""
    examined = examine(path, max_bytes, Reader.here())
    if examined.fault is not None:
        raise examined.fault
    return examined.content


def check_trusted(path: Path) -> None:
    """The same check for a file that another program reads: `SettingsError` if others may write it."""
    with _opened(path, Reader.here()) as (_, fault):
        if fault is not None:
            raise fault


def examine(path: Path, max_bytes: int, reader: Reader) -> ExaminedFile:
    """The content of `path`, whoever owns it. `SettingsError`: not a regular file, or more than `max_bytes`."""
    with _opened(path, reader) as (fd, fault), open(fd, "rb", closefd=False) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise SettingsError(f"{path}: larger than {max_bytes} bytes", hint="is that the right file?")
    return ExaminedFile(content=content, fault=fault)


@contextmanager
def _opened(path: Path, reader: Reader) -> Iterator[tuple[int, SettingsError | None]]:
    """A descriptor of the file, and the fault of the file or else of a folder above it; None: no fault."""
    if "\0" in str(path):
        raise SettingsError(f"{path}: no file can have that name", hint="there is a NUL in it")
    with ExitStack() as opened:
        walk = _Walk(path, reader, opened)
        yield walk.to_the_end(), walk.fault


class _Walk:
    """Walks from `/` to a file, step by step and through links. `fault` is the fault of the last faulty step."""

    def __init__(self, path: Path, reader: Reader, opened: ExitStack) -> None:
        self._path = path
        self._reader = reader
        self._opened = opened
        self._steps = list(reversed(path.absolute().parts[1:]))
        self._links = 0
        self.fault: SettingsError | None = None
        self._enter_root()

    def to_the_end(self) -> int:
        """A descriptor of the file to read from. Only regular files are opened."""
        while self._steps:
            name = self._steps.pop()
            fd = self._open(name, _LOOK)
            facts = os.fstat(fd)
            if stat.S_ISLNK(facts.st_mode):
                self._follow(name, fd, facts)
            elif stat.S_ISDIR(facts.st_mode):
                self._enter(fd, self._where.parent if name == ".." else self._where / name)
            elif self._steps:
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self._path))
            else:
                return self._file(name, facts)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self._path))

    def _open(self, name: str, flags: int) -> int:
        fd = os.open(name, flags, dir_fd=self._fd)
        self._opened.callback(os.close, fd)
        return fd

    def _file(self, name: str, looked: os.stat_result) -> int:
        if stat.S_ISREG(looked.st_mode):
            fd = self._open(name, _READ)
            facts = os.fstat(fd)
            if stat.S_ISREG(facts.st_mode):
                self.fault = _fault(self._path, None, facts, self._reader) or self.fault
                return fd
        raise SettingsError(f"{self._path}: not a regular file", hint=f"`ls -lL {shlex.quote(str(self._path))}`")

    def _enter(self, fd: int, where: PurePath) -> None:
        facts = os.fstat(fd)
        self._fd, self._where = fd, where
        self._is_shared = bool(facts.st_mode & self._reader.forbidden)
        self.fault = _fault(self._path, where, facts, self._reader) or self.fault

    def _enter_root(self) -> None:
        fd = os.open("/", _LOOK)
        self._opened.callback(os.close, fd)
        self._enter(fd, PurePath("/"))

    def _follow(self, name: str, fd: int, facts: os.stat_result) -> None:
        self._links += 1
        if self._links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(self._path))
        if self._is_shared and facts.st_uid not in self._reader.owners:
            # In a sticky folder the link's owner can replace it; in other folders only users who may write there can.
            self.fault = _belongs_to(self._path, self._where / name, facts.st_uid, self._reader, is_link=True)
        target = PurePath(os.readlink("", dir_fd=fd))
        if target.is_absolute():
            self._enter_root()
        self._steps += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _fault(path: Path, folder: PurePath | None, facts: os.stat_result, reader: Reader) -> SettingsError | None:
    """The fault of `folder`, which lies above `path`, or of `path` itself if `folder` is None."""
    if facts.st_uid not in reader.owners:
        return _belongs_to(path, folder, facts.st_uid, reader)
    is_sticky = folder is not None and facts.st_mode & stat.S_ISVTX
    if not facts.st_mode & reader.forbidden or is_sticky:
        return None
    what = "it" if folder is None else f"its folder {folder}"
    mode = "o-w" if reader.forbidden == _OTHERS else "go-w"
    return SettingsError(
        f"{path}: others may write to {what}", hint=f"type `chmod {mode} {shlex.quote(str(folder or path))}`"
    )


def _belongs_to(
    path: Path, folder: PurePath | None, owner: int, reader: Reader, *, is_link: bool = False
) -> SettingsError:
    what = "belongs" if folder is None else f"its {'link' if is_link else 'folder'} {folder} belongs"
    chown = f"`chown {'-h ' * is_link}{'root' if reader.uid == 0 else reader.uid} {shlex.quote(str(folder or path))}`"
    return SettingsError(
        f"{path}: {what} to uid {owner}, and could run any command as you",
        hint=f"type {chown} if you trust it" if reader.uid == 0 else f"use your own copy, or have root type {chown}",
    )
