"""Looks at the file at a path, checks it, and opens exactly that file."""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable
from enum import Enum
from typing import Final, TypeVar

from clbalance.lazy_dataclass import dataclass
from clbalance.user_files.location import Location, located
from clbalance.user_files.ownership import is_trap
from clbalance.user_files.refusal import ChangedMeanwhileError, FileRefusedError

_SEEN: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN: Final = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""O_NONBLOCK: a FIFO without a reader is an error at once."""
_TRIES: Final = 8  # then give up on a file that others keep exchanging

T = TypeVar("T")


class Kind(Enum):
    """The kinds of files that we write to."""

    ABSENT = "absent"
    REGULAR = "regular"
    DEVICE = "device"
    FIFO = "fifo"
    DESCRIPTOR = "descriptor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The file that was found. `stat` is None if there is none, and for a descriptor."""

    location: Location
    kind: Kind
    stat: os.stat_result | None = None

    @property
    def is_in_place(self) -> bool:
        """Whether it is written to in place, never replaced or emptied."""
        return self.kind in {Kind.DEVICE, Kind.FIFO, Kind.DESCRIPTOR}


def at_target(path: str, act: Callable[[Target], T]) -> T:
    """Call `act` with the target at `path`, again if that was exchanged. `OSError` becomes `FileRefusedError`."""
    for _ in range(_TRIES):
        with contextlib.suppress(ChangedMeanwhileError), located(path) as location:
            return act(_look(location))
    raise FileRefusedError(path, "others exchange it again and again", hint="name a file in a folder of your own")


def _look(location: Location) -> Target:
    """`FileRefusedError` if we never write to such a file, `OSError` if it cannot be examined."""
    if location.descriptor is not None:
        _check_descriptor(location.path, location.descriptor)
        return Target(location=location, kind=Kind.DESCRIPTOR)
    try:
        fd = os.open(location.name, _SEEN, dir_fd=location.folder)
    except FileNotFoundError:
        return Target(location=location, kind=Kind.ABSENT)
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    return Target(location=location, kind=_kind(location.path, found), stat=found)


def open_target(target: Target) -> int:
    """Open the target for writing; a missing file is made. `ChangedMeanwhileError`: look again, as `at_target` does."""
    location = target.location
    if location.descriptor is not None:
        return fcntl.fcntl(location.descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    if target.kind is Kind.ABSENT:
        try:
            return os.open(location.name, _OPEN | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=location.folder)
        except FileExistsError as error:
            raise ChangedMeanwhileError from error
    check_appendable(location, target.stat)
    try:
        fd = os.open(location.name, _OPEN, dir_fd=location.folder)
    except FileNotFoundError as error:
        raise ChangedMeanwhileError from error
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link now
            raise ChangedMeanwhileError from error
        if error.errno == errno.ENXIO and target.kind is Kind.FIFO:
            raise _nobody_reads(location.path) from error
        raise
    try:
        opened = os.fstat(fd)  # it may be another file by now
        if _kind(location.path, opened) is not target.kind:
            raise ChangedMeanwhileError
        check_appendable(location, opened)
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_appendable(location: Location, found: os.stat_result | None) -> None:
    """Raise `FileRefusedError` if somebody else may have prepared the file as a trap."""
    if found is None or stat.S_ISCHR(found.st_mode):  # only root makes devices
        return
    if reason := is_trap(os.fstat(location.folder), found):
        raise FileRefusedError(location.path, reason, hint="name a file in a folder of your own")


def _kind(path: str, found: os.stat_result) -> Kind:
    match stat.S_IFMT(found.st_mode):
        case stat.S_IFREG:
            return Kind.REGULAR
        case stat.S_IFCHR:
            return Kind.DEVICE
        case stat.S_IFIFO:
            return Kind.FIFO
        case stat.S_IFDIR:
            raise IsADirectoryError(errno.EISDIR, "")
        case stat.S_IFLNK:
            raise ChangedMeanwhileError  # it was no link a moment ago
        case stat.S_IFSOCK:
            raise FileRefusedError(path, "it is a socket", hint="name a file or a FIFO")
        case stat.S_IFBLK:
            raise FileRefusedError(path, "it is a disk (block device)", hint="name a file on it, or pipe into `dd`")
        case _:
            raise FileRefusedError(path, "it is no file", hint="name another")


def _check_descriptor(path: str, descriptor: int) -> None:
    try:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
        access = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        flags, access = fcntl.FD_CLOEXEC, os.O_WRONLY
    if flags & fcntl.FD_CLOEXEC:  # a file that we opened ourselves, such as our database, is not meant
        raise FileRefusedError(
            path, f"descriptor {descriptor} is not open", hint=f"open it in the shell: `{descriptor}> FILE`"
        )
    if access == os.O_RDONLY:
        raise FileRefusedError(path, f"descriptor {descriptor} is open for reading only", hint="name another")
    if stat.S_ISBLK(os.fstat(descriptor).st_mode):
        raise FileRefusedError(path, "it is a disk (block device)", hint="name a file on it, or pipe into `dd`")


def _nobody_reads(path: str) -> FileRefusedError:
    return FileRefusedError(
        path, "it is a FIFO, and nobody reads from it", hint=f"start its reader first, as `cat {path}` elsewhere"
    )
