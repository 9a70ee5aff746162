"""Processes in the real `/proc`: state, identity, descendants; and the search for stray processes of a lab.

Used by a node's init for its own processes, and by the controller for inits. A process that ends meanwhile is no error;
it counts as gone.
"""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from clbalance.errors import LabError
from clbalance.lazy_dataclass import dataclass

_PROC = Path("/proc")
_GONE = frozenset("ZX")  # zombies count as gone: their parents may be slow to reap them
_STOPPED = frozenset("Tt")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """A pid with its start time in clock ticks since boot, because pids are reused."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """The fields of `/proc/PID/stat` that are needed here."""

    name: str
    state: str
    parent: int
    start_ticks: int

    @property
    def lives(self) -> bool:
        """Whether it can still run."""
        return self.state not in _GONE

    @property
    def is_stopped(self) -> bool:
        """Whether SIGSTOP has taken effect."""
        return self.state in _STOPPED


def read_stat(pid: int) -> Stat | None:
    """The content of `/proc/PID/stat`; None if there is no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name is in brackets and may itself contain brackets and spaces.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    name = head.partition("(")[2]
    return Stat(name=name, state=fields[0], parent=int(fields[1]), start_ticks=int(fields[19]))


def identify(pid: int) -> ProcessId | None:
    """The process that has this pid now."""
    stat = read_stat(pid)
    return None if stat is None else ProcessId(pid=pid, start_ticks=stat.start_ticks)


def stat_of(process: ProcessId) -> Stat | None:
    """Its state; None if it is gone or a zombie, even if its pid was reused."""
    stat = read_stat(process.pid)
    return stat if stat is not None and stat.start_ticks == process.start_ticks and stat.lives else None


def all_pids() -> list[int]:
    """The pids of all processes in this pid namespace."""
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208 - names, not paths


def living(pids: Iterable[int]) -> list[int]:
    """The pids of those that are neither gone nor zombies."""
    return [pid for pid in pids if (stat := read_stat(pid)) is not None and stat.lives]


def descendants(root: int) -> list[int]:
    """Every process below `root`, zombies included; exact only while none of them forks."""
    own = os.getpid()
    # The `children` files need CONFIG_PROC_CHILDREN. A scan of all processes takes ten times as long.
    listed = (_PROC / f"{own}/task/{own}/children").exists()
    children_of = _listed_children if listed else _scan().__getitem__
    return _below(root, children_of)


def _below(root: int, children_of: Callable[[int], list[int]]) -> list[int]:
    found: list[int] = []
    waiting = [root]
    while waiting:
        children = children_of(waiting.pop())
        found += children
        waiting += children
    return found


def _listed_children(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            children += map(int, (thread / "children").read_text().split())
    return children


def _scan() -> defaultdict[int, list[int]]:
    children: defaultdict[int, list[int]] = defaultdict(list)
    for pid in all_pids():
        stat = read_stat(pid)
        if stat is not None:
            children[stat.parent].append(pid)
    return children


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process. One that is gone or belongs to another user is no error; the caller sees what is left."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def end_all(targets: Callable[[], Iterable[int]], *, within_s: float) -> bool:
    """SIGKILL the pids that `targets` returns, until it returns no living ones; False if some outlive `within_s`."""
    give_up_at = time.monotonic() + within_s
    # Asked twice: a process that gets another parent meanwhile may be missing in the list (proc(5), children).
    while alive := living(targets()) or living(targets()):
        if time.monotonic() > give_up_at:
            return False
        # Stop all first, so that none forks while the others are killed.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                send(pid, number)
        time.sleep(0.002)
    return True


# Stray processes of a lab, which belong to no init: launchers whose `up` was killed, orphans of a dead subreaper.

_WITHIN_S = 10.0


def end_strays(folder: Path) -> None:
    """SIGKILL all processes of the lab or node in `folder`, wherever they are in the process tree; or `LabError`."""
    if not end_all(lambda: _strays(folder), within_s=_WITHIN_S):
        raise LabError(f"processes of {folder} cannot be killed", hint="`ps -e -o pid,user,stat,args`")


def _strays(folder: Path) -> set[int]:
    marked = [pid for pid in all_pids() if pid != os.getpid() and _is_marked(pid, str(folder))]
    return {*marked, *(below for pid in marked for below in descendants(pid))}


def _is_marked(pid: int, folder: str) -> bool:
    """Whether a process belongs to the lab: by its environment, or for sshd, whose title overwrites it, by its `-f`."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # gone, or another user's
        return False
    marker = f"CLBALANCE_LAB_NODE={folder}".encode()
    is_listener = command.startswith(b"sshd:") and f" -f {folder}/".encode() in command
    return is_listener or any(entry == marker or entry.startswith(marker + b"/") for entry in environ.split(b"\0"))
