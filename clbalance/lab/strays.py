"""Processes of a lab that no init accounts for: launchers whose `up` was killed, orphans of a dead subreaper."""

import os
from pathlib import Path

from clbalance.errors import LabError
from clbalance.lab import proctree

_WITHIN_S = 10.0


def end_strays(folder: Path) -> None:
    """SIGKILL to everything that belongs to the lab or node in `folder`, wherever it is in the process tree."""
    if not proctree.end_all(lambda: _strays(folder), within_s=_WITHIN_S):
        raise LabError(f"processes of {folder} cannot be killed", hint="`ps -e -o pid,user,stat,args`")


def _strays(folder: Path) -> set[int]:
    marked = [pid for pid in proctree.all_pids() if pid != os.getpid() and _is_marked(pid, str(folder))]
    return {*marked, *(below for pid in marked for below in proctree.descendants(pid))}


def _is_marked(pid: int, folder: str) -> bool:
    """By an environment that only nodes have; sshd writes its title over its own, but keeps its `-f` there."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # gone, or another user's
        return False
    marker = f"CLBALANCE_LAB_NODE={folder}".encode()
    is_listener = command.startswith(b"sshd:") and f" -f {folder}/".encode() in command
    return is_listener or any(entry == marker or entry.startswith(marker + b"/") for entry in environ.split(b"\0"))
