"""How a job stands at this moment, and what its processes take; from /proc, without touching it."""

import os
import re
import time

from clbalance.node.agent.fate import read_fate
from clbalance.node.agent.folder import JobsFolder
from clbalance.node.agent.limits import PSS_WITHIN_S
from clbalance.node.agent.record import read_exit
from clbalance.node.agent.settle import supervisor_of
from clbalance.node.agent.tree import below, carrying, read_processes

MYPY = False
if MYPY:
    from typing import Any

CLOCK_BOOTTIME = 7  # which Python has a name for since 3.7; processes' ages are told by it


class Times:
    """Of one process: the cpu time that it and its reaped children took, and when it began, in ticks."""

    def __init__(self, pid: int) -> None:
        with open("/proc/%d/stat" % pid, "rb") as file:
            facts = file.read()
        fields = facts[facts.rindex(b")") + 2 :].split()  # the name may hold spaces and parentheses (proc(5))
        self.parent = int(fields[1])
        self.own_user, self.own_system, self.user, self.system = map(int, fields[11:15])
        self.began = int(fields[19])


def status_of(jobs: JobsFolder, name: str) -> "dict[str, Any]":
    """The `state`, by the words of `settle`; what it takes is null but for what runs, or has left a record."""
    supervisor = supervisor_of(jobs.home_fd, name)  # before `exit`, which is written before the lock goes
    try:
        folder = jobs.open(name)
    except FileNotFoundError:
        return usage_now(supervisor, name) if supervisor is not None else told("absent")
    try:
        record, fate = read_exit(folder), read_fate(folder)
    finally:
        os.close(folder)
    if record is not None:
        spent = record["usage"] or {}
        return told("ended", spent.get("user_s"), spent.get("system_s"), seconds=record["seconds"], processes=0)
    if fate != "started":
        return told(fate or "claimed")
    return usage_now(supervisor, name) if supervisor is not None else told("ended")


def told(
    state: str, user_s: "float | None" = None, system_s: "float | None" = None, **more: object
) -> "dict[str, Any]":
    status = {"state": state, "user_s": user_s, "system_s": system_s}
    status.update(dict.fromkeys(("pid", "seconds", "processes", "mem_bytes")), **more)
    return status


def usage_now(supervisor: int, name: str) -> "dict[str, Any]":
    """The job's tree: who has died in it counts as a reaped child of its parent, at last of the supervisor.

    The supervisor is read first, so that nobody who ends meanwhile is counted twice.
    """
    tick = os.sysconf("SC_CLK_TCK")
    table = read_processes()
    reaper = times_of(supervisor) if supervisor > 1 else None  # it may live in another pid namespace
    members = below(supervisor, table) if reaper is not None else carrying(os.fsencode(name), table)
    found = {pid: times for pid, times in ((pid, times_of(pid)) for pid in members) if times is not None}
    user, system = (0, 0) if reaper is None else (reaper.user, reaper.system)
    for times in found.values():
        user += times.own_user + times.user
        system += times.own_system + times.system
    first = min(
        (pid for pid in found if found[pid].parent == supervisor), key=lambda pid: found[pid].began, default=None
    )
    seconds = None if first is None else time.clock_gettime(CLOCK_BOOTTIME) - found[first].began / tick
    return told(
        "running",
        user / tick,
        system / tick,
        pid=first,
        seconds=seconds and round(max(0.0, seconds), 2),
        processes=len(found),
        mem_bytes=memory_of(found),
    )


def times_of(pid: int) -> "Times | None":
    try:
        return Times(pid)
    except OSError:  # it has just ended
        return None


def memory_of(pids: "Any") -> int:
    """Each page once, divided among those that share it (PSS); where that cannot be read soon, what each has mapped.

    To walk the page tables of a large process takes the kernel a while, in which it can map nothing.
    """
    until = time.monotonic() + PSS_WITHIN_S
    return sum((pss(pid) if time.monotonic() < until else None) or rss(pid) for pid in pids)


def pss(pid: int) -> "int | None":
    """Since Linux 4.14."""
    try:
        with open("/proc/%d/smaps_rollup" % pid, "rb") as file:
            found = re.search(rb"^Pss: *([0-9]+) kB", file.read(), re.MULTILINE)
    except OSError:
        return None
    return int(found.group(1)) << 10 if found else None


def rss(pid: int) -> int:
    try:
        with open("/proc/%d/statm" % pid, "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
