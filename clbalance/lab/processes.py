"""Processes seen through the real `/proc`: state, identity, descendants; and those of a lab that no init accounts for.

Used on both sides: by a node's init on itself, and by the controller on inits. A process that ends while it
is looked at is no error; it is simply not there.
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
_GONE = frozenset("ZX")  # a zombie runs nothing and holds nothing; its parent may be slow to notice
_STOPPED = frozenset("Tt")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """A pid with its start in clock ticks since boot, for pids are used again."""

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
    """What `/proc/PID/stat` says; None where there is no such process."""
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
    """Its state, or None once it is gone or a zombie, whoever has its pid now."""
    stat = read_stat(process.pid)
    return stat if stat is not None and stat.start_ticks == process.start_ticks and stat.lives else None


def all_pids() -> list[int]:
    """Every process there is, in this pid namespace."""
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208 - names, not paths


def living(pids: Iterable[int]) -> list[int]:
    """Those that can still run."""
    return [pid for pid in pids if (stat := read_stat(pid)) is not None and stat.lives]


def descendants(root: int) -> list[int]:
    """Every process below `root`, zombies included; exact only while none of them forks."""
    own = os.getpid()
    # The children files need CONFIG_PROC_CHILDREN; a scan of everything costs ten times as much.
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
    """Signal a process that may be gone already, or be another user's: then it stays, which the caller sees."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def end_all(targets: Callable[[], Iterable[int]], *, within_s: float) -> bool:
    """SIGKILL what `targets` names, asked again until all are dead; False if one outlived `within_s`."""
    give_up_at = time.monotonic() + within_s
    # Asked twice: who is handed to another parent while the list is made may be missing in it (proc(5), children).
    while alive := living(targets()) or living(targets()):
        if time.monotonic() > give_up_at:
            return False
        # Stopped first, so that nothing forks away from the list while it is worked off.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in alive:
                send(pid, number)
        time.sleep(0.002)
    return True


# Processes of a lab that no init accounts for: launchers whose `up` was killed, orphans of a dead subreaper.

_WITHIN_S = 10.0


def end_strays(folder: Path) -> None:
    """SIGKILL to everything that belongs to the lab or node in `folder`, wherever it is in the process tree."""
    if not end_all(lambda: _strays(folder), within_s=_WITHIN_S):
        raise LabError(f"processes of {folder} cannot be killed", hint="`ps -e -o pid,user,stat,args`")


def _strays(folder: Path) -> set[int]:
    marked = [pid for pid in all_pids() if pid != os.getpid() and _is_marked(pid, str(folder))]
    return {*marked, *(below for pid in marked for below in descendants(pid))}


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
