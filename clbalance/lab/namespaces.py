"""What holds a node's processes together, by Linux's own means. Standard library only; needs no other module.

Run as `python -m clbalance.lab.namespaces` it exits 0 where the caller may have namespaces of its own. There,
killing the first process ends every process of the node, whatever it did to get away; elsewhere the node's
init becomes a subreaper, so that every orphan stays its descendant.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_BIND, _MS_REC, _MS_SLAVE = 0x1000, 0x4000, 0x80000
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


class Isolation(StrEnum):
    """How a node's processes are told from everyone else's."""

    NAMESPACES = "namespaces"
    SUBREAPER = "subreaper"


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter_namespaces() -> None:
    """The caller's next child is pid 1 of a new pid namespace; the caller itself sees what it saw."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        _check(_libc.unshare(_CLONE_NEWPID), "unshare")
        return
    _check(_libc.unshare(_CLONE_NEWPID | _CLONE_NEWUSER), "unshare")
    # Mapped to itself, not to root: sshd would otherwise try to change users, which one mapped uid cannot.
    me = Path("/proc/self")
    (me / "setgroups").write_text("deny")
    (me / "uid_map").write_text(f"{uid} {uid} 1")
    (me / "gid_map").write_text(f"{gid} {gid} 1")


def furnish(host_name: str, binds: Iterable[tuple[str, str]]) -> None:
    """As pid 1: an own `/proc`, an own host name, and each `(source, target)` file over the system's."""
    _check(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWUTS), "unshare")
    # Slave, not private: what the host unmounts later must not stay busy because of a node.
    _mount("none", "/", None, _MS_REC | _MS_SLAVE)
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    name = host_name.encode()
    _check(_libc.sethostname(name, len(name)), "sethostname")
    for source, target in binds:
        _mount(source, target, None, _MS_BIND)


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    filesystem = None if kind is None else kind.encode()
    _check(
        _libc.mount(os.fsencode(source), os.fsencode(target), filesystem, ctypes.c_ulong(flags), None),
        f"mount {target}",
    )


def become_subreaper() -> None:
    """Orphans among the caller's descendants become its children from now on."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def _try() -> int:
    """0 if everything that a node needs can be done; the attempt leaves nothing behind."""
    try:
        enter_namespaces()
    except OSError:
        return 1
    pid = os.fork()
    if pid == 0:
        try:
            furnish("lab", [("/dev/null", "/etc/passwd")])
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(_try())
