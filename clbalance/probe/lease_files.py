"""The files of leases and drain marks, with the kernel's facts about them and their locks.

    clock SECONDS                      the node's clock, read before the files; only if there is a drain mark
    mark DEVICE INODE UID MODE PATH    a file or a folder; mode in hexadecimal
    PATH:line                          a line of a file
    owner UID NAME, admins PATH        only if a list of administrators matters
    1: POSIX  ADVISORY  WRITE …        locks on inodes of these numbers; `locks told` after the last

Anyone may write anything into such a file. Uid, inode and lock come from the kernel; the rest is the owner's claim.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Unknown
from clbalance.probe.frame import Section, whole

# -- `/proc/locks`: `1: POSIX ADVISORY WRITE 3568 fd:00:2531452 0 EOF`: pid, device and inode of one lock
#
# The kernel shows a lock only if its holder's pid is visible: a lease that is held from another pid namespace looks
# void here. Admission tries the lock itself, so it is not affected.

MOST_LOCKS: Final = 4_096
"""The probe sends no more locks of a reading."""
_READINGS: Final = 5
"""The probe reads the list so often. What one reading leaves out, the other has."""
_LOCK = re.compile(r"[0-9]+: POSIX +ADVISORY +WRITE +(-?[0-9]{1,10}) ([0-9a-f]{1,8}):([0-9a-f]{1,8}):([0-9]{1,20}) .*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inode:
    """The kernel's identity of a file; `device` is its major and minor number."""

    device: tuple[int, int]
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock on a file, and the process that holds it; below 1 if the holder is in another pid namespace."""

    file: Inode
    pid: int


def parse_locks(lines: Iterable[str]) -> tuple[Lock, ...]:
    """The locks for writing that processes hold; waiting for one (`1: -> POSIX …`) does not count."""
    return tuple(
        Lock(file=Inode(device=(int(lock[2], 16), int(lock[3], 16)), number=int(lock[4])), pid=int(lock[1]))
        for line in lines
        if (lock := _LOCK.fullmatch(line))
    )


def lock_on(file: Inode, locks: Iterable[Lock]) -> Lock | None:
    """The lock on this file, if there is one.

    Major 0 is a device without a disk of its own; btrfs and overlayfs then give `stat` and `/proc/locks` different
    minor numbers, so only the inode is compared.
    """
    return next((lock for lock in locks if _is_same(lock.file, file)), None)


def _is_same(locked: Inode, file: Inode) -> bool:
    return locked.number == file.number and (locked.device == file.device or 0 in (locked.device[0], file.device[0]))


def device_of(st_dev: int) -> tuple[int, int]:
    """Major and minor number, packed as by glibc (gnu_dev_major, gnu_dev_minor), whatever machine we run on."""
    major = (st_dev >> 8) & 0xFFF | (st_dev >> 32) & 0xFFFF_F000
    minor = st_dev & 0xFF | (st_dev >> 12) & 0xFFFF_FF00
    return major, minor


_MOST_TEXT = 1_024
_MOST_UID = 2**32
_MOST = 2**64
_LISTED = re.compile(r"mark ([0-9]+) ([0-9]+) ([0-9]+) ([0-9a-f]{1,8}) (/.*)")
_HOME = re.compile(r"/.*/clbalance-(0|[1-9][0-9]{0,9})(?:-[1-9])?")
_NAME = re.compile(r"(drain(-[0-9a-f]{32})?|lease-[A-Za-z0-9._-]{0,250})")
_S_IFMT, _S_IFDIR, _S_IFREG = 0xF000, 0x4000, 0x8000
_OTHERS_WRITE = 0o022


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A regular file with the name of a lease or a drain mark, in its owner's folder. `text` is empty if too long."""

    name: str
    uid: int
    inode: Inode
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """All leases and marks in the node folders; `locks` is unknown if the locks could not be read."""

    marks: tuple[Mark, ...] = ()
    locks: tuple[Lock, ...] | Unknown = ()
    admins: tuple[str, ...] = ()
    """Lines of the node's list of administrators, if the file belongs to root or to us."""
    names: Mapping[int, str]
    """User names of the owners by uid, if administrators are listed."""
    clock_s: int | None = None
    """The node's clock before the files were read, in seconds since 1970; None: not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    inode: Inode
    uid: int
    mode: int


def parse_marks(section: Section, uid: int | Unknown) -> Marks | Unknown:
    """All marks, read as user `uid`; unknown if any could be missing, because the node would look free."""
    match section.status:
        case "0":
            return _parse(section.text.split("\n"), uid)
        case "3":
            return Unknown(reason=_excess(section.text))
        case None:
            return Unknown(reason="timed out")
        case status:
            return Unknown(reason=f"reading the node folder failed with {status}")


_EXCESS = {
    "squats": "more than 131072 folders with the names of other users' folders, most of them of uid {}",
    "homes": "the folders of more than 4096 users",
    "files": "uid {} has more than 131072 files in the node folder",
    "leases": "uid {} holds more than 1024 leases",
    "marks": "more than 2048 held leases and drain marks",
}
"""What the probe does not count, by its word for it: the limits of `node/probe.sh`, and most of admission's."""


def _excess(text: str) -> str:
    match text.strip().split(" "):
        case ["full", uid, word] if word in _EXCESS and (uid == "-" or whole(uid, most=_MOST_UID) is not None):
            return _EXCESS[word].format(uid)
        case _:
            return "more files than can be counted"


def _parse(lines: list[str], uid: int | Unknown) -> Marks | Unknown:
    listed: dict[str, _Listed] = {}
    texts: dict[str, list[str]] = {}
    names: dict[int, str] = {}
    admins = ""
    clock_s: int | None = None
    for line in lines:
        # The probe sends no path with a colon in it, and every path starts with a slash.
        path, colon, rest = line.partition(":")
        if colon and path in listed:
            texts.setdefault(path, []).append(rest)
        elif line.startswith("mark "):
            found = _listed(line)
            if found is None:
                return Unknown(reason="the list of leases and drain marks does not parse")
            listed.update(found)
        elif line.startswith("owner "):
            _, number, name, *_ = [*line.split(" ", 2), "", ""]
            if (owner := whole(number, most=_MOST_UID)) is not None:
                names[owner] = name
        elif line.startswith("admins "):
            admins = line.removeprefix("admins ")
        elif line.startswith("clock "):
            clock_s = whole(line.removeprefix("clock "), most=_MOST)
    return Marks(
        marks=tuple(_marks(listed, texts)),
        locks=_locks(lines),
        admins=tuple(texts.get(admins, [])) if _is_trusted(listed.get(admins), uid) else (),
        names=names,
        clock_s=clock_s,
    )


def _listed(line: str) -> dict[str, _Listed] | None:
    match = _LISTED.fullmatch(line)
    if match is None:
        return None
    device, number, uid, mode, path = match.groups()
    device_number, inode_number = whole(device, most=_MOST), whole(number, most=_MOST)
    uid_number = whole(uid, most=_MOST_UID)
    if device_number is None or inode_number is None or uid_number is None:
        return None
    inode = Inode(device=device_of(device_number), number=inode_number)
    return {path: _Listed(inode=inode, uid=uid_number, mode=int(mode, 16))}


def _marks(listed: Mapping[str, _Listed], texts: Mapping[str, list[str]]) -> list[Mark]:
    """The marks that belong to the user in their folder's name, as the folder does; others may have been put there."""
    marks: list[Mark] = []
    for path, file in listed.items():
        folder, _, name = path.rpartition("/")
        is_owners = file.uid == _home_owner(folder, listed.get(folder))
        if is_owners and file.mode & _S_IFMT == _S_IFREG and _NAME.fullmatch(name):
            text = "\n".join(texts.get(path, []))[:_MOST_TEXT]
            marks.append(Mark(name=name, uid=file.uid, inode=file.inode, text=text))
    return marks


def _home_owner(path: str, folder: _Listed | None) -> int | None:
    """The owner of a home; None if it is no folder, or belongs to another user than its name says."""
    name = _HOME.fullmatch(path)
    if folder is None or name is None or folder.mode & _S_IFMT != _S_IFDIR or folder.uid != int(name[1]):
        return None
    return folder.uid


def _locks(lines: list[str]) -> tuple[Lock, ...] | Unknown:
    if "locks told" not in lines:
        return Unknown(reason="/proc/locks cannot be read")
    locks = parse_locks(lines)
    if len(locks) >= _READINGS * MOST_LOCKS:
        return Unknown(reason=f"{MOST_LOCKS} locks or more")
    return tuple(dict.fromkeys(locks))


def _is_trusted(file: _Listed | None, uid: int | Unknown) -> bool:
    # Our own list is the lab's: it only affects what we read.
    return (
        file is not None and file.uid in {0, uid} and file.mode & _S_IFMT == _S_IFREG and not file.mode & _OTHERS_WRITE
    )
