"""Who holds which lock."""

import os
import struct

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
