"""The files of leases and drain marks, everybody's, and who holds their locks."""

import contextlib
import errno
import itertools
import json
import os
import re
import stat
import struct

from clbalance.node.agent.fields import LEASE, checked
from clbalance.node.agent.folder import write_all
from clbalance.node.agent.protocol import (
    DRAINS_OF_ONE,
    FOLDER,
    HOMES_OF_ONE,
    KILL_AT_ADMISSION_S,
    LISTED,
    MARK_BYTES,
    MARKS_OF_ONE,
    READ,
    WRITE_NEW,
    MisfitError,
)
from clbalance.node.agent.tree import kill_carriers

MYPY = False
if MYPY:
    from typing import Any, Iterable


FLOCK = "hhqqi4x"  # struct flock of a 64-bit Linux: type, whence, start, len, pid


def promiser_of(fd: int) -> "int | None":
    """The process that holds a write lock on it, as far as its pid is known here. A read lock, which anyone may
    take, is none.
    """
    import fcntl

    asked = struct.pack(FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else int(pid)


def is_promise(fd: int) -> bool:
    return promiser_of(fd) is not None


class Lock:
    """One line of /proc/locks."""

    def __init__(self, kind: bytes, pid: bytes, place: bytes) -> None:
        self.kind = kind
        self.pid = pid
        self.device, self.inode = place.rsplit(b":", 1)


def write_locks() -> "list[Lock]":
    """Who holds which, as far as this kernel lets us see; who merely waits (`->`) is left out."""
    locks = []
    try:
        with open("/proc/locks", "rb") as file:
            for line in file:
                fields = line.split()
                if len(fields) >= 6 and fields[3] == b"WRITE":
                    locks.append(Lock(fields[1], fields[4], fields[5]))
    except OSError:
        return []
    return locks


def user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "uid %d" % uid


def holder_of(fd: int) -> str:
    """Who has flocked this inode. Where several file systems count alike, the one with its device comes first."""
    facts = os.fstat(fd)
    device = b"%02x:%02x" % (os.major(facts.st_dev), os.minor(facts.st_dev))
    locks = [lock for lock in write_locks() if lock.kind == b"FLOCK" and int(lock.inode) == facts.st_ino]
    if not locks:
        return "a process that /proc/locks does not show"
    pid = int(min(locks, key=lambda lock: lock.device != device).pid)
    try:
        return "pid %d, user %s" % (pid, user_name(os.stat("/proc/%d" % pid).st_uid))
    except OSError:
        return "pid %d, user unknown" % pid


# Leases and drain marks, everybody's.

MARK_NAME = re.compile(r"drain(?:-[0-9a-f]{32})?|lease-[A-Za-z0-9_-]{1,64}\.[0-9]{1,9}")


class Mark:
    """A file that may be a lease or a drain mark: a name and an inode in a home. It says nothing by itself."""

    __slots__ = ("home", "inode", "name", "uid")

    def __init__(self, home: bytes, uid: int, name: str, inode: int) -> None:
        self.home = home
        self.uid = uid
        self.name = name
        self.inode = inode

    @property
    def identity(self) -> "tuple[bytes, str, int]":
        return self.home, self.name, self.inode

    @property
    def is_drain(self) -> bool:
        return self.name.startswith("drain")


def mark_text(facts: "dict[str, Any]") -> bytes:
    return json.dumps(facts, ensure_ascii=False).encode("utf-8", "backslashreplace")


def put_mark(home: int, name: str, content: bytes) -> None:
    """A file for everyone to read, whole or not at all. The sticky bit keeps systemd-tmpfiles from ageing it."""
    fresh = "%s.%d.tmp" % (name, os.getpid())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh, dir_fd=home)
    fd = os.open(fresh, WRITE_NEW, 0o600, dir_fd=home)
    try:
        write_all(fd, content)
        os.fchmod(fd, 0o1644)
        os.rename(fresh, name, src_dir_fd=home, dst_dir_fd=home)
    except OSError:
        os.unlink(fresh, dir_fd=home)
        raise
    finally:
        os.close(fd)


def bases_of(base: bytes) -> "list[bytes]":
    """The folder for everyone's jobs, and the one in which they were before an administrator made that one."""
    return [base, b"/var/tmp"] if base == b"/var/lib/clbalance" else [base]


def list_marks(base: bytes) -> "list[Mark]":
    """All marks of all users, none of them opened. What one user may put there is bounded, for himself alone."""
    counts: "dict[int, int]" = {}
    marks: "list[Mark]" = []
    for home in all_homes(base):
        try:
            fd = os.open(home, FOLDER)
        except OSError as error:
            not_for_want_of_ours(error)  # but a link, a file, gone, or closed to us
            continue
        try:
            uid = os.fstat(fd).st_uid
            counts[uid] = counts.get(uid, 0) + 1
            if counts[uid] <= HOMES_OF_ONE:
                marks += marks_in(home, fd, uid)
        finally:
            os.close(fd)
    return marks


def not_for_want_of_ours(error: OSError) -> None:
    """A lease that we fail to see would be promised again: what we are short of is no word on it."""
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        raise error


def all_homes(base: bytes) -> "Iterable[bytes]":
    """Of all users, those included that were made before an administrator made another folder for them."""
    return itertools.chain(*map(homes_in, bases_of(base)))


def homes_in(folder: bytes) -> "list[bytes]":
    with os.scandir(folder) as entries:
        names = [entry.name for entry in itertools.islice(entries, LISTED)]
    return [folder + b"/" + name for name in names if re.fullmatch(rb"clbalance-[0-9]+(-[1-9])?", name)]


def marks_in(home: bytes, fd: int, uid: int) -> "list[Mark]":
    """Regular files only. Of too many leases those come first that seem to be held."""
    found: "list[Mark]" = []
    with os.scandir("/proc/self/fd/%d" % fd) as entries:  # 3.6 cannot list a descriptor
        found += [
            Mark(home, uid, entry.name, entry.inode())
            for entry in itertools.islice(entries, LISTED)
            if MARK_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
        ]
    drains = sorted((mark for mark in found if mark.is_drain), key=lambda mark: mark.name)[:DRAINS_OF_ONE]
    leases = [mark for mark in found if not mark.is_drain]
    if len(drains) + len(leases) > MARKS_OF_ONE:
        locked = {int(lock.inode) for lock in write_locks()}
        leases.sort(key=lambda mark: mark.inode not in locked)
    return (drains + leases)[:MARKS_OF_ONE]


def open_mark(mark: Mark) -> "int | None":
    """The file, if it is what was listed and its folder's owner's; None where it is not, or has gone.

    A `PermissionError` where it is his, but not for us to read.
    """
    try:
        home = os.open(mark.home, FOLDER)
    except OSError as error:
        not_for_want_of_ours(error)
        return None
    try:
        facts = os.stat(mark.name, dir_fd=home, follow_symlinks=False)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != mark.uid:
            return None
        fd = os.open(mark.name, READ, dir_fd=home)
    except PermissionError:
        raise
    except OSError as error:
        not_for_want_of_ours(error)
        return None
    finally:
        os.close(home)
    if os.path.samestat(facts, os.fstat(fd)):
        return fd
    os.close(fd)
    return None


def read_mark(fd: int) -> bytes:
    """What it says, and one byte more than it may; nothing where that cannot be read."""
    try:
        return os.read(fd, MARK_BYTES + 1)
    except OSError:
        return b""


def parse_mark(content: bytes, fields: "dict[str, Any]") -> "dict[str, Any] | None":
    """The JSON object of a mark; None where it cannot be read. Unknown keys are for later versions."""
    try:
        raw = json.loads(content.decode("utf-8")) if len(content) <= MARK_BYTES else None
        if not isinstance(raw, dict):
            return None
        read = checked({name: value for name, value in raw.items() if name in fields}, fields, "mark")
    except (ValueError, RecursionError, MisfitError):
        return None
    return read if read["v"] == 1 else None


class Lease:
    """A promise that holds. Without `told` nobody can say how much it promises, so it is the whole node.

    `fd` answers whether it still holds; without it nobody can say that it does not.
    """

    def __init__(self, uid: int, fields: "dict[str, Any] | None", fd: "int | None" = None) -> None:
        self.uid = uid
        self.fields = fields
        self.fd = fd

    @property
    def holds(self) -> bool:
        return self.fd is None or is_promise(self.fd)


def read_lease(mark: Mark) -> "Lease | None":
    """The lease, if it holds. A void one of our own is removed, with what its dead supervisor has left running."""
    try:
        fd = open_mark(mark)
    except PermissionError:
        locked = any(int(lock.inode) == mark.inode and lock.kind == b"POSIX" for lock in write_locks())
        return Lease(mark.uid, None) if locked else None
    if fd is None:
        return None
    if is_promise(fd):
        return Lease(mark.uid, parse_lease(read_mark(fd)), fd)
    os.close(fd)
    if mark.uid == os.geteuid():
        kill_carriers(mark.name[len("lease-") :], KILL_AT_ADMISSION_S)
        with contextlib.suppress(OSError):
            os.unlink(mark.home + b"/" + os.fsencode(mark.name))
    return None


def parse_lease(content: bytes) -> "dict[str, Any] | None":
    fields = parse_mark(content, LEASE)
    if fields is None or not 0 < fields["gpu_share"] <= 1 or not all(isinstance(gpu, str) for gpu in fields["gpus"]):
        return None
    return fields
