"""The processes of a job: how they are found, signalled and killed."""

import os
import time

from clbalance.node.agent.protocol import KILL_AGAIN_S, KILL_PATIENCE_S, STOP_WITHIN_S
from clbalance.node.stdlib import signal, suppress

MYPY = False
if MYPY:
    from typing import Any, Callable


class Prctl:
    """prctl(2), by the part in C of `ctypes`, which the Python of some nodes lacks: then no call has an effect.

    `ctypes` itself takes 2 ms to import, and needs memory that it can write to and execute, which SELinux may forbid.
    """

    def __init__(self) -> None:
        try:
            import _ctypes

            own: "Any" = None  # this process, of which the C library is a part
            self.address = _ctypes.dlsym(_ctypes.dlopen(own, 0), "prctl")
            self.function: "Any" = _ctypes.call_function
        except (ImportError, OSError, AttributeError):
            self.function = None

    def call(self, option: int, value: int) -> bool:
        return self.function is not None and self.function(self.address, (option, value, 0, 0, 0)) == 0

    def adopt_orphans(self) -> bool:
        """PR_SET_CHILD_SUBREAPER: descendants whose parent dies become children of this process."""
        return self.call(36, 1)

    def die_with_parent(self, parent: int) -> None:
        """PR_SET_PDEATHSIG: the kernel kills this process when its parent dies, however that happens."""
        if self.call(1, int(signal.SIGKILL)) and os.getppid() != parent:
            os._exit(1)


class Process:
    """One line of the process table."""

    __slots__ = ("group", "parent", "session")

    def __init__(self, parent: int, group: int, session: int) -> None:
        self.parent = parent
        self.group = group
        self.session = session


def read_processes() -> "dict[int, Process]":
    """All living processes by pid. Zombies are left out, unless other threads of theirs still live."""
    table = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as file:
                facts = file.read()
        except OSError:
            continue
        # The name, in parentheses, may itself hold spaces and parentheses (proc(5)).
        fields = facts[facts.rindex(b")") + 2 :].split()
        state, parent, group, session = fields[:4]
        if state not in b"ZX" or int(fields[17]) > 1:
            table[int(name)] = Process(int(parent), int(group), int(session))
    return table


def below(root: int, table: "dict[int, Process]") -> "set[int]":
    """The descendants of `root`."""
    children: "dict[int, list[int]]" = {}
    for pid, process in table.items():
        children.setdefault(process.parent, []).append(pid)
    found: "set[int]" = set()
    rest = [root]
    while rest:
        fresh = [pid for pid in children.get(rest.pop(), ()) if pid not in found]
        found.update(fresh)
        rest.extend(fresh)
    return found


def carrying(launch_key: bytes, table: "dict[int, Process]") -> "set[int]":
    """The processes with this job's key in their environment, as far as we may read it."""
    return carrying_any([launch_key], table)


def carrying_any(launch_keys: "list[bytes]", table: "dict[int, Process]") -> "set[int]":
    """The processes with one of these jobs' keys, found in one walk."""
    marks = {b"CLBALANCE_JOB_KEY=" + key for key in launch_keys}
    found = set()
    for pid in table:
        try:
            with open("/proc/%d/environ" % pid, "rb") as file:
                environment = file.read()
        except OSError:
            continue
        if not marks.isdisjoint(environment.split(b"\0")):
            found.add(pid)
    return found


class Tree:
    """The processes of one job. `search` picks them from the process table, each time anew.

    `nearest` finds some of them, much quicker than a walk through all of /proc.
    """

    def __init__(
        self, search: "Callable[[dict[int, Process]], set[int]]", nearest: "Callable[[], set[int]]" = set
    ) -> None:
        self.search = search
        self.nearest = nearest

    def members(self) -> "dict[int, Process]":
        table = read_processes()
        return {pid: table[pid] for pid in self.search(table) if pid in table}

    def signal(self, number: int, group: int) -> None:
        """Signal the process group at once, so that no process of it escapes by a fork, and each process outside it."""
        members = self.members()
        if any(process.group == group for process in members.values()):
            send(os.killpg, group, number)
        for pid, process in members.items():
            if process.group != group:
                send(os.kill, pid, number)

    def kill(self) -> "set[int]":
        """Stop all processes, so that none escapes by a fork, then KILL them. The pids of those that were signalled."""
        stopped: "set[int]" = set()
        until = time.monotonic() + STOP_WITHIN_S
        while time.monotonic() < until:
            fresh = self.nearest() - stopped or set(self.members()) - stopped
            if not fresh:
                break
            for pid in fresh:
                send(os.kill, pid, signal.SIGSTOP)
            stopped |= fresh
        for pid in stopped:
            send(os.kill, pid, signal.SIGKILL)
        return stopped


def send(kill: "Callable[[int, int], None]", target: int, number: int) -> None:
    """Send a signal. A target that is gone, or belongs to another user by now, is no error."""
    with suppress(ProcessLookupError, PermissionError):
        kill(target, number)


def kill_carriers(*names: str, within_s: float = KILL_PATIENCE_S) -> None:
    """Kill all processes that carry the key of one of these jobs."""
    keys = [os.fsencode(name) for name in names]
    kill_all(Tree(lambda table: carrying_any(keys, table)), within_s)


def kill_all(tree: Tree, within_s: float) -> None:
    until = time.monotonic() + within_s
    while tree.kill() and time.monotonic() < until:
        time.sleep(KILL_AGAIN_S)
