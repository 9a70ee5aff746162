"""Files of leases and drain marks of all users, and the holders of their locks."""

import contextlib
import errno
import json
import os
import re
import stat
import struct

from clbalance.node.agent.fields import LEASE, checked
from clbalance.node.agent.folder import write_all
from clbalance.node.agent.protocol import (
    FOLDER,
    KILL_AT_ADMISSION_S,
    MARK_BYTES,
    READ,
    WRITE_NEW,
    MisfitError,
)
from clbalance.node.agent.tree import kill_carriers

MYPY = False
if MYPY:
    from typing import Any


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

    def __init__(self, pid: bytes, place: bytes) -> None:
        self.pid = pid
        self.device, self.inode = place.rsplit(b":", 1)


def flocks() -> "list[Lock]":
    """The flocks for writing that are visible to us. Waiting processes (`->`) are left out."""
    locks = []
    with contextlib.suppress(OSError), open("/proc/locks", "rb") as file:
        for line in file:
            fields = line.split()
            if len(fields) >= 6 and fields[1] == b"FLOCK" and fields[3] == b"WRITE":
                locks.append(Lock(fields[4], fields[5]))
    return locks


POSIX_LOCK = re.compile(rb": POSIX +ADVISORY +WRITE +(-?[0-9]+) ([0-9a-f]+):([0-9a-f]+):([0-9]+) ")
INITIAL_PIDS = 0xEFFFFFFC  # inode number of the first pid namespace (PROC_PID_INIT_INO)


class PosixLocks:
    """The fcntl write locks in /proc/locks. Anyone can make it long: read it once, and not under the node's lock.

    `all_told`: it shows those of all processes. It shows none of other pid namespaces.
    """

    def __init__(self) -> None:
        self.found: "list[tuple[int, int, int]]" = []  # pid, device, inode
        try:
            with open("/proc/locks", "rb") as file:
                found = POSIX_LOCK.findall(file.read())
            self.all_told = os.stat("/proc/self/ns/pid").st_ino == INITIAL_PIDS
            self.are_read = True
        except OSError:
            found, self.all_told, self.are_read = [], False, False
        for pid, major, minor, inode in found:
            self.found.append((int(pid), os.makedev(int(major, 16), int(minor, 16)), int(inode)))
        self.inodes = {inode for _, _, inode in self.found}

    def may_hold(self, inode: int) -> bool:
        return not self.are_read or inode in self.inodes

    def may_be_of(self, uid: int, device: int) -> bool:
        """Whether a process of that user may hold a lock on that device. Devices are compared as by the probe."""
        pids = {pid for pid, on, _ in self.found if on == device or not (os.major(on) and os.major(device))}
        return not self.all_told or any(owner_of_process(pid) == uid for pid in pids)


def owner_of_process(pid: int) -> int:
    """The uid; -1 if it is gone."""
    try:
        return os.stat("/proc/%d" % pid).st_uid
    except OSError:
        return -1


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
    locks = [lock for lock in flocks() if int(lock.inode) == facts.st_ino]
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


def raise_unless_gone(error: OSError) -> None:
    """Raise the error unless the file is gone, or no plain one: an unread lease would be promised a second time."""
    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
        raise error


def open_mark(mark: Mark) -> "int | None":
    """Open a mark, if it is the listed file and belongs to the home's owner; None if it is not, or is gone.

    `PermissionError` if it belongs to the owner but we may not read it.
    """
    try:
        home = os.open(mark.home, FOLDER)
    except OSError as error:
        raise_unless_gone(error)
        return None
    try:
        facts = os.stat(mark.name, dir_fd=home, follow_symlinks=False)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != mark.uid:
            return None
        fd = os.open(mark.name, READ, dir_fd=home)
    except OSError as error:
        raise_unless_gone(error)
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
    """A lease. Without `fields` its content is unknown, and it counts as the whole node; `flaw` says why.

    `fd` is used to test whether it is still held; without it, it counts as held.
    """

    def __init__(
        self,
        uid: int,
        fields: "dict[str, Any] | None",
        fd: "int | None" = None,
        flaw: str = "a lease that cannot be read",
    ) -> None:
        self.uid = uid
        self.fields = fields
        self.fd = fd
        self.flaw = flaw

    @property
    def holds(self) -> bool:
        return self.fd is None or is_locked(self.fd)


def parse_lease(content: bytes) -> "dict[str, Any] | None":
    fields = parse_mark(content, LEASE)
    if fields is None or not 0 < fields["gpu_share"] <= 1 or not all(isinstance(gpu, str) for gpu in fields["gpus"]):
        return None
    return fields


def remove_void(marks: "list[Mark]") -> None:
    """Remove leases of ours that nobody holds, after the processes of their jobs were killed."""
    if marks:
        kill_carriers(*(mark.name[len("lease-") :] for mark in marks), within_s=KILL_AT_ADMISSION_S)
    for mark in marks:
        with contextlib.suppress(OSError):
            os.unlink(mark.home + b"/" + os.fsencode(mark.name))
