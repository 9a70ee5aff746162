"""What became of a job, or how it stands at this moment (docs/design/jobs.md)."""

import contextlib
import os
import re
import time

from clbalance.node.agent.folder import JobsFolder
from clbalance.node.agent.job.outcome import (
    born,
    keep_exit,
    of_another_boot,
    read_birth,
    read_boot_id,
    read_exit,
    read_fate,
    seal,
    unwitnessed_end,
)
from clbalance.node.agent.lease.files import all_homes, promiser_of
from clbalance.node.agent.protocol import FOLDER, PSS_WITHIN_S, READ, MisfitError, RefusedError, shown
from clbalance.node.agent.tree import below, carrying, kill_carriers, read_processes

MYPY = False
if MYPY:
    from typing import Any


# How a job stands at this moment, and what its processes take; from /proc, without touching it.

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
    return usage_fields(
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


REBOOTED = {"state": "gone", "why": "the node was booted again"}
WIPED = {"state": "gone", "why": "the node folder was wiped"}


class Inquiry:
    """A question after a job that was admitted in a boot and a folder of these names.

    With `void`, what has not started never shall.
    """

    def __init__(self, jobs: JobsFolder, name: str, boot_id: str, incarnation: str, void: bool) -> None:
        self.jobs = jobs
        self.name = name
        self.boot_id = boot_id
        self.incarnation = incarnation
        self.void = void

    def answer(self) -> "dict[str, Any]":
        """`state` with `reason`, and `record` where it has ended."""
        held = supervisor_of(self.jobs.home_fd, self.name) is not None  # before the folder, which is made before it
        try:
            folder = self.jobs.open(self.name)
        except FileNotFoundError:
            if held:  # the job has removed its folder
                return {"state": "running"}
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
        if self.incarnation != read_birth(self.jobs.home_fd):
            home = where_born(os.path.dirname(self.jobs.home), self.incarnation)
            if home is not None:
                raise MisfitError("settle: %s is kept in `%s`, not among this user's jobs" % (self.name, shown(home)))
            kill_carriers(self.name)
            return WIPED
        return {"state": "absent"}

    def answer_in(self, folder: int) -> "dict[str, Any]":
        """What is on disk is true after a reboot, too. The lock is asked for after the fate, which is made under it."""
        record = read_exit(folder)
        if record is not None:
            return {"state": "ended", "record": record}
        same_boot = self.boot_id == read_boot_id()
        if self.void and same_boot:
            seal(folder, "void")
        fate = read_fate(folder)
        if fate == "void":
            return {"state": "void"}
        if not same_boot:
            return REBOOTED
        if not fate:
            return {"state": "claimed"}
        if supervisor_of(self.jobs.home_fd, self.name) is not None:
            return {"state": "running"}
        return {"state": "ended", "record": bury(self.jobs, self.name)}


def where_born(base: bytes, incarnation: str) -> "bytes | None":
    """The home with that birth, which so was not wiped: another user's, or one that is not taken for ours any more."""
    for home in all_homes(base):
        with contextlib.suppress(OSError, RefusedError):  # what cannot be read as one is none
            fd = os.open(home, FOLDER)
            try:
                if born(fd) == incarnation:
                    return home
            finally:
                os.close(fd)
    return None


def supervisor_of(home: int, name: str) -> "int | None":
    """The pid of a job's supervisor, if it lives: it holds its lease's lock from before its start to after its end."""
    try:
        fd = os.open("lease-" + name, READ, dir_fd=home)
    except FileNotFoundError:
        return None
    try:
        return promiser_of(fd)
    finally:
        os.close(fd)


def bury(jobs: JobsFolder, name: str) -> "dict[str, Any]":
    """The end of a started job that has no supervisor any more. If that left none, speak for it: kill what is left."""
    try:
        folder = jobs.open(name)
    except FileNotFoundError:
        kill_carriers(name)
        return unwitnessed_end()
    try:
        return read_exit(folder) or bury_in(folder, name)
    finally:
        os.close(folder)


def bury_in(folder: int, name: str) -> "dict[str, Any]":
    kill_carriers(name)
    record = unwitnessed_end()
    if of_another_boot(folder):  # who settles it is told that it is gone, and an answer that is final stays
        return record
    try:
        keep_exit(folder, record)
    except OSError as error:
        record["warnings"].append("the record of the end was not kept: %s" % os.strerror(error.errno or 0))
    return read_exit(folder) or record  # another may have been quicker
