"""Whether our standard input is meant for the job (docs/design/input.md). `origin_of` is pure; `origin` reads /proc.

A program cannot ask its shell for what was typed. But it can compare its standard input with the files that its parent
has open: what the parent reads from as well was there before this call.
"""

import os
import stat
from enum import Enum
from pathlib import Path

from clbalance.lazy_dataclass import dataclass


class Origin(Enum):
    """Where standard input comes from."""

    NONE = "none"
    """Closed, or a device such as /dev/null."""
    TERMINAL = "terminal"
    REDIRECTED = "redirected"
    """A pipe, file or socket that was opened for this call."""
    GIVEN = "given"
    """The same, by a process that began a session for this call: sshd, cron, systemd."""
    INHERITED = "inherited"
    """A pipe, file or socket of the parent, which others may read after us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """An open file of a process, by its descriptor. `at`: its position and flags."""

    fd: int
    mode: int
    device: int
    inode: int
    at: str = ""
    can_be_read: bool = True
    name: str = ""

    def is_same(self, other: "OpenFile") -> bool:
        """Whether both share one position. Of pipes there is only one; a file may have been opened twice."""
        same_inode = (self.device, self.inode) == (other.device, other.inode)
        return same_inode and (self.at == other.at or not stat.S_ISREG(self.mode))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The process that started us. `program`: the name of its executable; a script has its shell's."""

    program: str
    files: tuple[OpenFile, ...]
    arguments: tuple[str, ...] = ()

    def private(self, ours: frozenset[int]) -> list[OpenFile]:
        """What it reads from and did not pass on to us, without the script that it executes. `ours`: passed on."""
        scripts = {argument.rpartition("/")[2] for argument in self.arguments}
        return [
            file
            for file in self.files
            if file.fd > 2 and file.can_be_read and file.fd not in ours and file.name not in scripts
        ]


_OWN_NUMBERS = ("bsd-csh", "csh", "tcsh", "fish")
"""Shells that keep their standard input, or that of their loops, under another number."""
_SELF = Path("/proc/self")
_SAVING = ("ash", "bash", "busybox", "dash", "ksh", "ksh93", "mksh", "sh", "yash")
"""Shells that redirect themselves for a while, and keep the old descriptor under a number from `_SAVED_FROM` on."""
_SAVED_FROM = 10


def origin_of(own: OpenFile | None, parent: Parent | None, ours: frozenset[int], *, begins_session: bool) -> Origin:
    """Decide by our standard input and the parent's files.

    `own` None: it is closed. `parent` None: it is gone, or cannot be looked at. `ours`: the parent's descriptors that
    are ours, too. `begins_session`: this process is the first of its session.
    """
    if own is None or not (stat.S_ISFIFO(own.mode) or stat.S_ISREG(own.mode) or stat.S_ISSOCK(own.mode)):
        return Origin.NONE
    if parent is None:
        return Origin.GIVEN if begins_session else Origin.INHERITED
    private = parent.private(ours)
    held = [file for file in parent.files if file.fd == 0]
    if parent.program in _OWN_NUMBERS:
        held += private
    if not any(own.is_same(file) for file in held):
        return Origin.GIVEN if begins_session else Origin.REDIRECTED
    # dash, ksh and busybox redirect themselves for the time of `COMMAND < FILE`, and keep their own input elsewhere. A
    # loop that reads lines looks the same, but is not at the file's beginning any more.
    is_saved = parent.program in _SAVING and any(file.fd >= _SAVED_FROM for file in private)
    is_fresh = stat.S_ISREG(own.mode) and own.at.startswith("0 ")
    return Origin.REDIRECTED if is_saved and is_fresh else Origin.INHERITED


def origin() -> Origin:
    """The origin of our own standard input."""
    if os.isatty(0):
        return Origin.TERMINAL
    own = _open_file(_SELF, 0)
    parent = _parent()
    ours = frozenset() if parent is None else frozenset(file.fd for file in parent.files if _is_ours(file))
    again = _open_file(_SELF, 0)
    if own is not None and again is not None and own.at != again.at:
        return Origin.INHERITED  # somebody reads from it just now
    return origin_of(own, parent, ours, begins_session=os.getsid(0) == os.getpid())


def _is_ours(file: OpenFile) -> bool:
    mine = _open_file(_SELF, file.fd)
    return mine is not None and (mine.device, mine.inode) == (file.device, file.inode)


def _parent() -> Parent | None:
    """The parent; None if it cannot be looked at, or is not the process that started us: that one has ended."""
    process = Path(f"/proc/{os.getppid()}")
    try:
        session = int(_text(process / "stat").rpartition(")")[2].split()[3])
        if session != os.getsid(0) and os.getsid(0) != os.getpid():
            return None
        numbers = sorted(int(fd.name) for fd in (process / "fd").iterdir())
        files = (_open_file(process, fd) for fd in numbers)
        return Parent(
            program=(process / "exe").readlink().name,
            files=tuple(file for file in files if file is not None),
            arguments=tuple(_text(process / "cmdline").split("\0")),
        )
    except (OSError, ValueError, IndexError):
        return None


def _open_file(process: Path, fd: int) -> OpenFile | None:
    link = process / "fd" / str(fd)
    try:
        facts = link.stat()
        lines = _text(process / "fdinfo" / str(fd)).splitlines()
        told = dict(line.split(":", 1) for line in lines if ":" in line)
        flags = int(told["flags"], 8) & ~os.O_CLOEXEC
        return OpenFile(
            fd=fd,
            mode=facts.st_mode,
            device=facts.st_dev,
            inode=facts.st_ino,
            at=f"{told['pos'].strip()} {flags:o}",
            can_be_read=flags & os.O_ACCMODE != os.O_WRONLY,
            name=link.readlink().name,
        )
    except (OSError, ValueError, LookupError):
        return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
