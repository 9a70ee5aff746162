"""Folders below the opened one, each by a descriptor; and names of files that are not complete yet.

The folder that a user named may be reached through links. Below it no link is followed. Root enters no folder in which
others could have put a link, or could exchange what root writes, unless the user said so.
"""

import errno
import itertools
import os
import stat

from clbalance.node.files.frames import FileProblemError
from clbalance.node.stdlib import suppress

MYPY = False
if MYPY:
    from typing import Dict, List, Tuple

OPENED = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # which needs no right to read it
READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_LINKS = 40  # the kernel's own limit
TEMPORARY = b".clbalance-"
UNFINISHED = b".tmp"
STALE_S = 3600  # a file of another boot, or of another node by a network file system, unchanged for so long


def others_write(facts: "os.stat_result") -> "str | None":
    """Why others than root can change names in this folder; the sticky bit does not keep them from adding some."""
    if facts.st_uid:
        return "its folder belongs to uid %d" % facts.st_uid
    if facts.st_mode & stat.S_IWOTH:
        return "everybody may write to its folder"
    if facts.st_mode & stat.S_IWGRP and facts.st_gid:
        return "group %d may write to its folder" % facts.st_gid
    return None


class Guard:
    """Whether folders that others may write to are refused."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def check(self, folder: int) -> None:
        """Raise `FileProblemError` before a name in an open folder is made, exchanged or removed."""
        reason = others_write(os.fstat(folder)) if self._on else None
        if reason:
            raise FileProblemError("root does not write there: %s (`--into-shared-folder` allows it)" % reason)

    def check_step(self, folder: int, entered: int) -> None:
        """The same for a folder on the way. In a sticky folder of root's, others cannot exchange one of root's."""
        if not self._on:
            return
        facts = os.fstat(folder)
        kept = facts.st_uid == 0 and facts.st_mode & stat.S_ISVTX and os.fstat(entered).st_uid == 0
        if others_write(facts) and not kept:
            raise FileProblemError(
                "root does not go there: %s (`--into-shared-folder` allows it)" % others_write(facts)
            )


def open_folder(path: bytes, guard: Guard) -> int:
    """Open the folder at an absolute path, step by step, through links. `OSError`, `FileProblemError`."""
    folder, left, links = os.open(b"/", OPENED), _steps(path), 0
    try:
        while left:
            name = left.pop()
            try:
                entered = os.open(name, OPENED, dir_fd=folder)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                target, links = _link(folder, name, error), links + 1
                if links > MOST_LINKS:
                    raise
                guard.check(folder)
                if target.startswith(b"/"):
                    os.close(folder)
                    folder = os.open(b"/", OPENED)
                left += _steps(target)
                continue
            try:
                guard.check_step(folder, entered)
            except FileProblemError:
                os.close(entered)
                raise
            os.close(folder)
            folder = entered
    except BaseException:
        os.close(folder)
        raise
    return folder


def _steps(path: bytes) -> "List[bytes]":
    return [part for part in reversed(path.split(b"/")) if part not in (b"", b".")]


def _link(folder: int, name: bytes, error: OSError) -> bytes:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        raise error  # no link: a file where a folder is needed


class Folder:
    """An open folder. It is closed when neither the way to the present file nor a file in it needs it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.uses = 1

    def keep(self) -> "Folder":
        self.uses += 1
        return self

    def release(self) -> None:
        self.uses -= 1
        if not self.uses:
            os.close(self.fd)


class Tree:
    """The opened folder, and the way to the last used folder below it."""

    def __init__(self, root: int, guard: Guard) -> None:
        self._guard = guard
        self._names: "List[bytes]" = []
        self._way = [Folder(root)]
        self._cleaned: "Dict[Tuple[int, int], bool]" = {}

    def folder(self, parts: "List[bytes]") -> Folder:
        """The folder with this relative path, open until the next call. `OSError`: a link, too."""
        common = 0
        for one, other in zip(parts, self._names):  # noqa: B905 - Python 3.6
            if one != other:
                break
            common += 1
        while len(self._names) > common:
            self._names.pop()
            self._way.pop().release()
        for name in parts[common:]:
            entered = os.open(name, OPENED, dir_fd=self._way[-1].fd)
            self._names.append(name)
            self._way.append(Folder(entered))
        return self._way[-1]

    def leave(self) -> None:
        """Close the folders below the root, one of which is about to be removed."""
        self.folder([])

    def close(self) -> None:
        """Close the root too."""
        self.leave()
        self._way.pop().release()

    def to_change(self, parts: "List[bytes]") -> Folder:
        """The same, if names in it may be changed. What dead transfers have left there is removed."""
        folder = self.folder(parts)
        facts = os.fstat(folder.fd)
        known = (facts.st_dev, facts.st_ino)
        if known not in self._cleaned:
            self._guard.check(folder.fd)
            self._cleaned[known] = True
            remove_dead(folder.fd)
        return folder

    def made(self, folder: int) -> None:
        """A folder that was made just now holds nothing of a dead transfer."""
        facts = os.fstat(folder)
        self._cleaned[(facts.st_dev, facts.st_ino)] = True


def boot_id() -> str:
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id") as text:
        return text.read().replace("-", "").strip()[:16]
    return "unknown"


def started_at(pid: str) -> "str | None":
    """When a process began, in ticks since boot; None if there is none."""
    try:
        with open("/proc/%s/stat" % pid, "rb") as text:
            return text.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return None


_NUMBERS = itertools.count()
_OWNERS: "Dict[int, str]" = {}  # by pid: a process may have been forked after this was imported


def temporary_name() -> bytes:
    """A new name for a file that is not complete: it tells which process writes it."""
    pid = os.getpid()
    if pid not in _OWNERS:
        _OWNERS[pid] = "%s-%d-%s" % (boot_id(), pid, started_at("self") or "0")
    return TEMPORARY + ("%s-%d" % (_OWNERS[pid], next(_NUMBERS))).encode() + UNFINISHED


def is_temporary(name: bytes) -> bool:
    return name.startswith(TEMPORARY) and name.endswith(UNFINISHED)


def names_of(folder: int) -> "List[bytes]":
    """The names in an open folder, sorted."""
    readable = os.open(b".", READ_FOLDER, dir_fd=folder)
    try:
        return sorted(map(os.fsencode, os.listdir(readable)))
    finally:
        os.close(readable)


def remove_dead(folder: int) -> None:
    """Remove the incomplete files of this user whose process has ended."""
    with suppress(OSError):  # it may be a folder that we can write to and cannot read
        for name in filter(is_temporary, names_of(folder)):
            facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if facts.st_uid == os.geteuid() and stat.S_ISREG(facts.st_mode) and _is_dead(name, facts):
                os.unlink(name, dir_fd=folder)


def _is_dead(name: bytes, facts: "os.stat_result") -> bool:
    import time

    words = name[len(TEMPORARY) : -len(UNFINISHED)].decode("ascii", "replace").split("-")
    if len(words) == 4 and words[0] == boot_id() and words[1].isdigit():
        return started_at(words[1]) != words[2]
    return time.time() - max(facts.st_mtime, facts.st_ctime) > STALE_S


def absolute_path(path: bytes) -> bytes:
    """`path` in the home folder, unless it is absolute; `~` is that folder, too."""
    home = os.fsencode(os.path.expanduser("~"))
    if path == b"~" or path.startswith(b"~/"):
        path = path[2:]
    return os.path.join(home, path)


def make_folders(path: bytes, guard: Guard) -> None:
    """Make the folder at an absolute path, and those on the way to it."""
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    for count in range(1, len(parts) + 1):
        try:
            os.close(open_folder(b"/" + b"/".join(parts[:count]), guard))
        except FileNotFoundError:
            parent = open_folder(b"/" + b"/".join(parts[: count - 1]), guard)
            try:
                guard.check(parent)
                with suppress(FileExistsError):
                    os.mkdir(parts[count - 1], dir_fd=parent)
            finally:
                os.close(parent)
