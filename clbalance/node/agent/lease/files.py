"""Files of leases and drain marks of all users, and the holders of their locks."""

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


def lock_holder(fd: int) -> "int | None":
    """The pid of the holder of a write lock on a file (at most 0 if it is not visible here); None if there is none.

    Read locks do not count: anyone may take one.
    """
    import fcntl

    asked = struct.pack(FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = struct.unpack(FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else int(pid)


def is_locked(fd: int) -> bool:
    return lock_holder(fd) is not None


class Lock:
    """One line of /proc/locks."""

    def __init__(self, kind: bytes, pid: bytes, place: bytes) -> None:
        self.kind = kind
        self.pid = pid
        self.device, self.inode = place.rsplit(b":", 1)


def write_locks() -> "list[Lock]":
    """The write locks that are visible to us. Waiting processes (`->`) are left out."""
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
    """The holder of a flock on a file, for messages. Among equal inode numbers the same device comes first."""
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


# Leases and drain marks of all users.

MARK_NAME = re.compile(r"drain(?:-[0-9a-f]{32})?|lease-[A-Za-z0-9_-]{1,64}\.[0-9]{1,9}")


class Mark:
    """A file that may be a lease or a drain mark, by its name and inode in a home. Its content was not read."""

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
    """Write a file that everyone may read, completely or not at all. Its sticky bit makes systemd-tmpfiles keep it."""
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
    """The folder for the jobs of all users, and the one that was used before an administrator made it."""
    return [base, b"/var/tmp"] if base == b"/var/lib/clbalance" else [base]


def list_marks(base: bytes) -> "list[Mark]":
    """The marks of all users, not opened. Each user's number is bounded, so that nobody can crowd others out."""
    counts: "dict[int, int]" = {}
    marks: "list[Mark]" = []
    for home in all_homes(base):
        try:
            fd = os.open(home, FOLDER)
        except OSError as error:
            raise_if_out_of_resources(error)  # a link, a file, gone or closed to us is no error
            continue
        try:
            uid = os.fstat(fd).st_uid
            counts[uid] = counts.get(uid, 0) + 1
            if counts[uid] <= HOMES_OF_ONE:
                marks += marks_in(home, fd, uid)
        finally:
            os.close(fd)
    return marks


def raise_if_out_of_resources(error: OSError) -> None:
    """Raise the error if we ran out of descriptors or memory: an unread lease would be promised a second time."""
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        raise error


def all_homes(base: bytes) -> "Iterable[bytes]":
    """The homes of all users, in all bases."""
    return itertools.chain(*map(homes_in, bases_of(base)))


def homes_in(folder: bytes) -> "list[bytes]":
    with os.scandir(folder) as entries:
        names = [entry.name for entry in itertools.islice(entries, LISTED)]
    return [folder + b"/" + name for name in names if re.fullmatch(rb"clbalance-[0-9]+(-[1-9])?", name)]


def marks_in(home: bytes, fd: int, uid: int) -> "list[Mark]":
    """The marks in one home that are regular files. If there are too many, leases that seem held come first."""
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
    """Open a mark, if it is the listed file and belongs to the home's owner; None if it is not, or is gone.

    `PermissionError` if it belongs to the owner but we may not read it.
    """
    try:
        home = os.open(mark.home, FOLDER)
    except OSError as error:
        raise_if_out_of_resources(error)
        return None
    try:
        facts = os.stat(mark.name, dir_fd=home, follow_symlinks=False)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != mark.uid:
            return None
        fd = os.open(mark.name, READ, dir_fd=home)
    except PermissionError:
        raise
    except OSError as error:
        raise_if_out_of_resources(error)
        return None
    finally:
        os.close(home)
    if os.path.samestat(facts, os.fstat(fd)):
        return fd
    os.close(fd)
    return None


def read_mark(fd: int) -> bytes:
    """The content of a mark, up to one byte more than is allowed; empty if it cannot be read."""
    try:
        return os.read(fd, MARK_BYTES + 1)
    except OSError:
        return b""


def parse_mark(content: bytes, fields: "dict[str, Any]") -> "dict[str, Any] | None":
    """The JSON object of a mark; None if it cannot be parsed. Unknown keys are left to later versions."""
    try:
        raw = json.loads(content.decode("utf-8")) if len(content) <= MARK_BYTES else None
        if not isinstance(raw, dict):
            return None
        read = checked({name: value for name, value in raw.items() if name in fields}, fields, "mark")
    except (ValueError, RecursionError, MisfitError):
        return None
    return read if read["v"] == 1 else None


class Lease:
    """A lease. Without `fields` its content is unknown, and it counts as the whole node.

    `fd` is used to test whether it is still held; without it, it counts as held.
    """

    def __init__(self, uid: int, fields: "dict[str, Any] | None", fd: "int | None" = None) -> None:
        self.uid = uid
        self.fields = fields
        self.fd = fd

    @property
    def holds(self) -> bool:
        return self.fd is None or is_locked(self.fd)


def read_lease(mark: Mark) -> "Lease | None":
    """The lease, if it is held; else None. If it is ours and not held, remove it and kill its job's processes."""
    try:
        fd = open_mark(mark)
    except PermissionError:
        locked = any(int(lock.inode) == mark.inode and lock.kind == b"POSIX" for lock in write_locks())
        return Lease(mark.uid, None) if locked else None
    if fd is None:
        return None
    if is_locked(fd):
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
