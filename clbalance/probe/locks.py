"""`/proc/locks`: `1: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 0 EOF`, pid, device and inode of one lock.

The kernel shows a lock only where its holder's pid has a meaning: a lease that is held from another pid namespace
looks void here. Admission asks for the lock itself and is not deceived.
"""

import re
from collections.abc import Iterable
from typing import Final

from clbalance.lazy_dataclass import dataclass

MOST_LOCKS: Final = 4_096
"""The probe sends no more."""
_LOCK = re.compile(r"[0-9]+: POSIX +ADVISORY +WRITE +-?[0-9]+ ([0-9a-f]{1,8}):([0-9a-f]{1,8}):([0-9]{1,20}) .*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inode:
    """A file as the kernel knows it; `device` is major and minor number."""

    device: tuple[int, int]
    number: int


def parse_locks(lines: Iterable[str]) -> tuple[Inode, ...]:
    """What is locked for writing by a process; whoever waits for a lock (`1: -> POSIX …`) has none."""
    return tuple(
        Inode(device=(int(lock[1], 16), int(lock[2], 16)), number=int(lock[3]))
        for line in lines
        if (lock := _LOCK.fullmatch(line))
    )


def is_locked(file: Inode, locked: Iterable[Inode]) -> bool:
    """Whether one of the locks is on this file.

    Major 0 is a device without a disk of its own; btrfs and overlayfs then tell `stat` and `/proc/locks` different
    minor numbers, and the inode has to do.
    """
    return any(
        lock.number == file.number and (lock.device == file.device or 0 in (lock.device[0], file.device[0]))
        for lock in locked
    )


def device_of(st_dev: int) -> tuple[int, int]:
    """Major and minor number as glibc packs them (gnu_dev_major, gnu_dev_minor), on whatever machine we run."""
    major = (st_dev >> 8) & 0xFFF | (st_dev >> 32) & 0xFFFF_F000
    minor = st_dev & 0xFF | (st_dev >> 12) & 0xFFFF_FF00
    return major, minor
