"""Says what became of a job, or its state and resource usage now (docs/design/jobs.md)."""

import os
import time

from clbalance.node.agent.folder import JobsFolder
from clbalance.node.agent.job.outcome import (
    decide_fate,
    ensure_incarnation,
    keep_exit,
    of_another_boot,
    read_boot_id,
    read_exit,
    read_fate,
    read_incarnation,
    unrecorded_end,
)
from clbalance.node.agent.lease.homes import Homes
from clbalance.node.agent.lease.locks import lock_holder
from clbalance.node.agent.protocol import PSS_WITHIN_S, READ, MisfitError, RefusedError, shown
from clbalance.node.agent.tree import below, carrying, kill_carriers, read_processes
from clbalance.node.stdlib import suppress

MYPY = False
if MYPY:
    from typing import Any


# The state of a job and its resource usage, read from /proc.

CLOCK_BOOTTIME = 7  # the clock of process start times; time has the name since Python 3.7


class Times:
    """Cpu times of one process and of its reaped children, and its start time, in ticks."""

    def __init__(self, pid: int) -> None:
        with open("/proc/%d/stat" % pid, "rb") as file:
            facts = file.read()
        fields = facts[facts.rindex(b")") + 2 :].split()  # the name may hold spaces and parentheses (proc(5))
        self.parent = int(fields[1])
        self.own_user, self.own_system, self.user, self.system = map(int, fields[11:15])
        self.began = int(fields[19])


def status_of(jobs: JobsFolder, name: str) -> "dict[str, Any]":
    """The `state`, in the words of `settle`, and the usage: null unless the job runs or has left a record."""
    supervisor = supervisor_of(jobs.home_fd, name)  # before `exit`, which is written before the lock goes
    try:
        folder = jobs.open(name)
    except FileNotFoundError:
        return usage_now(supervisor, name) if supervisor is not None else usage_fields("absent")
    try:
        record, fate = read_exit(folder), read_fate(folder)
    finally:
        os.close(folder)
    if record is not None:
        spent = record["usage"] or {}
        return usage_fields("ended", spent.get("user_s"), spent.get("system_s"), seconds=record["seconds"], processes=0)
    if fate != "started":
        return usage_fields(fate or "claimed")
    return usage_now(supervisor, name) if supervisor is not None else usage_fields("ended")


def usage_fields(
    state: str, user_s: "float | None" = None, system_s: "float | None" = None, **more: object
) -> "dict[str, Any]":
    status = {"state": state, "user_s": user_s, "system_s": system_s}
    status.update(dict.fromkeys(("pid", "seconds", "processes", "mem_bytes")), **more)
    return status


def usage_now(supervisor: int, name: str) -> "dict[str, Any]":
    """The usage of a running job. Dead processes are in the times of their parents, or of the supervisor.

    The supervisor is read first, so that a process that ends meanwhile is not counted twice.
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
    seconds = None if first is None else age_of(found[first])
    return usage_fields(
        "running",
        user / tick,
        system / tick,
        pid=first,
        seconds=seconds,
        processes=len(found),
        mem_bytes=memory_of(found),
    )


def age_of(times: Times) -> float:
    """Seconds since the process was started, by the clock that nobody can set."""
    seconds = time.clock_gettime(CLOCK_BOOTTIME) - times.began / os.sysconf("SC_CLK_TCK")
    return round(max(0.0, seconds), 2)


def running(supervisor: int) -> "dict[str, Any]":
    """The answer for a running job: `seconds` since its first process was started, null if that cannot be seen."""
    try:
        with open("/proc/%d/task/%d/children" % (supervisor, supervisor), "rb") as file:
            children = [times_of(int(pid)) for pid in file.read().split()]
    except OSError:  # it lives in another pid namespace, has just ended, or the kernel has no such file
        children = []
    ages = [age_of(times) for times in children if times is not None]
    return {"state": "running", "seconds": max(ages) if ages else None}


def times_of(pid: int) -> "Times | None":
    try:
        return Times(pid)
    except OSError:  # it has just ended
        return None


def memory_of(pids: "Any") -> int:
    """Bytes, with shared pages divided among their processes (PSS); after `PSS_WITHIN_S`, RSS of the rest.

    The kernel walks the page tables for PSS. That is slow for a large process, which cannot map memory meanwhile.
    """
    until = time.monotonic() + PSS_WITHIN_S
    return sum((pss(pid) if time.monotonic() < until else None) or rss(pid) for pid in pids)


def pss(pid: int) -> "int | None":
    """Bytes; None before Linux 4.14 or if it cannot be read."""
    import re

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


REBOOTED = {"state": "gone", "why": "the node was booted again"}
WIPED = {"state": "gone", "why": "the node folder was wiped"}


class Inquiry:
    """A question about a job that was admitted in that boot and that incarnation of the node folder.

    With `void`, a job that has not started is made void.
    """

    def __init__(self, jobs: JobsFolder, name: str, boot_id: str, incarnation: str, void: bool) -> None:
        self.jobs = jobs
        self.name = name
        self.boot_id = boot_id
        self.incarnation = incarnation
        self.void = void

    def answer(self) -> "dict[str, Any]":
        """`state`, with `why` if gone, `record` if ended, `seconds` if running. May raise `MisfitError`."""
        # Read the lock before the folder: the folder is made before the lock.
        held = supervisor_of(self.jobs.home_fd, self.name)
        try:
            folder = self.jobs.open(self.name)
        except FileNotFoundError:
            if held is not None:  # the job removed its folder
                return running(held)
            absent = self.answer_without_folder()
            if absent["state"] == "gone" or not self.void:
                return absent
            self.jobs.claim_if_absent(self.name)
            folder = self.jobs.open(self.name)
        try:
            return self.answer_in(folder)
        finally:
            os.close(folder)

    def answer_without_folder(self) -> "dict[str, Any]":
        if self.boot_id != read_boot_id():
            return REBOOTED
        if self.incarnation not in ("", ensure_incarnation(self.jobs.home_fd)):  # empty: not known to who asks
            home = home_of_incarnation(os.path.dirname(self.jobs.home), self.incarnation)
            if home is not None:
                raise MisfitError("settle: %s is kept in `%s`, not among this user's jobs" % (self.name, shown(home)))
            kill_carriers(self.name)
            return WIPED
        return {"state": "absent"}

    def answer_in(self, folder: int) -> "dict[str, Any]":
        """A record on disk counts after a reboot, too. The fate is read before the lock: it is made under the lock."""
        record = read_exit(folder)
        if record is not None:
            return {"state": "ended", "record": record}
        same_boot = self.boot_id == read_boot_id()
        if self.void and same_boot:
            decide_fate(folder, "void")
        fate = read_fate(folder)
        if fate == "void":
            return {"state": "void"}
        if not same_boot:
            return REBOOTED
        if not fate:
            return {"state": "claimed"}
        supervisor = supervisor_of(self.jobs.home_fd, self.name)
        if supervisor is not None:
            return running(supervisor)
        return {"state": "ended", "record": end_unsupervised(self.jobs, self.name)}


def home_of_incarnation(base: bytes, incarnation: str) -> "bytes | None":
    """The home with that incarnation, which was therefore not wiped: another user's, or an old one of ours; or None."""
    for home in [home for homes in Homes.find(base).by_owner.values() for home in homes]:
        try:
            fd = home.open()
        except PermissionError:
            continue
        if fd is None:
            continue
        try:
            with suppress(OSError, RefusedError):  # an unreadable home is skipped
                if read_incarnation(fd) == incarnation:
                    return home.path
        finally:
            os.close(fd)
    return None


def supervisor_of(home: int, name: str) -> "int | None":
    """The pid of a job's supervisor, if it lives. It holds its lease's lock from before the start to after the end."""
    try:
        fd = os.open("lease-" + name, READ, dir_fd=home)
    except FileNotFoundError:
        return None
    try:
        return lock_holder(fd)
    finally:
        os.close(fd)


def end_unsupervised(jobs: JobsFolder, name: str) -> "dict[str, Any]":
    """The record of a started job without a supervisor. If none was written, kill the job's processes and write one."""
    try:
        folder = jobs.open(name)
    except FileNotFoundError:
        kill_carriers(name)
        return unrecorded_end()
    try:
        return read_exit(folder) or end_unsupervised_in(folder, name)
    finally:
        os.close(folder)


def end_unsupervised_in(folder: int, name: str) -> "dict[str, Any]":
    kill_carriers(name)
    record = unrecorded_end()
    if of_another_boot(folder):  # write nothing: `settle` answers "gone", and that answer is final
        return record
    try:
        keep_exit(folder, record)
    except FileNotFoundError:  # another agent has put it in its place
        pass
    except OSError as error:
        record["warnings"].append("the record of the end was not kept: %s" % os.strerror(error.errno or 0))
    return read_exit(folder) or record  # another agent may have been quicker
