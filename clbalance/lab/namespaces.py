"""Isolates a node's processes by namespaces, or by a subreaper. Standard library only; imports no other module of ours.

Run as `python -m clbalance.lab.namespaces` it exits with 0 if the caller may make namespaces. With namespaces, the
kernel ends all processes of a node when its first process is killed. Without, the node's init becomes a subreaper, so
that every orphan stays its descendant.
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
    """How a node's processes are separated from all others."""

    NAMESPACES = "namespaces"
    SUBREAPER = "subreaper"


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter_namespaces() -> None:
    """Make the caller's next child pid 1 of a new pid namespace. The caller stays in its own. May raise `OSError`."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        _check(_libc.unshare(_CLONE_NEWPID), "unshare")
        return
    _check(_libc.unshare(_CLONE_NEWPID | _CLONE_NEWUSER), "unshare")
    # The uid is mapped to itself, not to root: as root, sshd would try to change users, but no other uid is mapped.
    me = Path("/proc/self")
    (me / "setgroups").write_text("deny")
    (me / "uid_map").write_text(f"{uid} {uid} 1")
    (me / "gid_map").write_text(f"{gid} {gid} 1")


def furnish(host_name: str, binds: Iterable[tuple[str, str]]) -> None:
    """In pid 1: mount a new `/proc`, set the host name, mount each file `source` over `target`; or `OSError`."""
    _check(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWUTS), "unshare")
    # Slave, not private: otherwise a file system that the host unmounts later would stay busy in the node.
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
    """Make the caller the parent of all orphans among its descendants."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def _try() -> int:
    """Try everything that a node needs: 0 if it works, else 1. Nothing is left of it."""
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
