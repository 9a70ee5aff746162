"""Locks on files, and their holders."""

import fcntl
import os
import struct

from clbalance.node.agent.lease.users import owner_of_process, user_name
from clbalance.node.stdlib import suppress

FLOCK = "hhqqi4x"  # struct flock of a 64-bit Linux: type, whence, start, len, pid


def lock_holder(fd: int) -> "int | None":
    """The pid of the holder of a write lock on a file (at most 0 if it is not visible here); None if there is none.

    Read locks do not count: anyone may take one.
    """
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
    with suppress(OSError), open("/proc/locks", "rb") as file:
        for line in file:
            fields = line.split()
            if len(fields) >= 6 and fields[1] == b"FLOCK" and fields[3] == b"WRITE":
                locks.append(Lock(fields[4], fields[5]))
    return locks


POSIX_LOCK = rb": POSIX +ADVISORY +WRITE +(-?[0-9]+) ([0-9a-f]+):([0-9a-f]+):([0-9]+) "
READINGS = 5  # the kernel tells the list in pieces of 4 KiB; where locks go in between, a reading leaves others out
INITIAL_PIDS = 0xEFFFFFFC  # inode number of the first pid namespace (PROC_PID_INIT_INO)


class PosixLocks:
    """The fcntl write locks in /proc/locks. Anyone can make it long: read it once, and not under the node's lock.

    `all_told`: it shows those of all processes. It shows none of other pid namespaces.
    """

    def __init__(self) -> None:
        import re

        self.found: "list[tuple[int, int, int]]" = []  # pid, device, inode
        try:
            found = set()
            for _ in range(READINGS):
                with open("/proc/locks", "rb") as file:
                    found.update(re.findall(POSIX_LOCK, file.read()))
            self.all_told = os.stat("/proc/self/ns/pid").st_ino == INITIAL_PIDS
            self.are_read = True
        except OSError:
            found, self.all_told, self.are_read = set(), False, False
        for pid, major, minor, inode in found:
            self.found.append((int(pid), os.makedev(int(major, 16), int(minor, 16)), int(inode)))
        self.inodes = {inode for _, _, inode in self.found}

    def may_hold(self, inode: int) -> bool:
        return not self.are_read or inode in self.inodes

    def may_be_of(self, uid: int, device: int) -> bool:
        """Whether a process of that user may hold a lock on that device. Devices are compared as by the probe."""
        pids = {pid for pid, on, _ in self.found if on == device or not (os.major(on) and os.major(device))}
        return not self.all_told or any(owner_of_process(pid) == uid for pid in pids)


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
