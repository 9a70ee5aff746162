"""Enforces a job's cpu and memory limits, as far as that is possible without root."""

import os
import re
import time

from clbalance.node.agent.job.fork import Unconfined, fork_job
from clbalance.node.agent.job.program import Program
from clbalance.node.agent.job.scope import NoScopeError, Scope, ScopeMemory, find_systemd_run
from clbalance.node.agent.job.task import Task
from clbalance.node.agent.lease.admission import JobLimits
from clbalance.node.agent.lease.cpus import cpulist_text, cpus_to_bind
from clbalance.node.agent.protocol import WATCH_AGAIN_S, WATCH_S, WATCH_SHARE
from clbalance.node.agent.tree import Prctl

MYPY = False
if MYPY:
    from typing import Any, Callable, Iterable


class Confinement(Unconfined):
    """The limits of one job."""

    def __init__(self, limits: JobLimits) -> None:
        super().__init__()
        self.limits = limits
        self.scope: "Scope | None" = None
        self.no_scope = "not used for slots"

    def bind(self) -> None:
        """Bind this process, and the processes that it starts from now on, to the cpus of its lease."""
        limits = self.limits
        if limits.cpus is None:
            return
        if not cpus_to_bind(limits.cpus):
            self.kept_by.append("cpu limit: all %d cpus of the node" % len(os.sched_getaffinity(0)))
        elif not limits.cpu_ids:
            self.unkept.append("cpu limit not enforced: its lease has no room for the cpus")
        else:
            try:
                os.sched_setaffinity(0, limits.cpu_ids)
                self.kept_by.append(
                    "bound to cpu%s %s" % ("s" * (len(limits.cpu_ids) > 1), cpulist_text(limits.cpu_ids))
                )
            except OSError as error:
                self.unkept.append("cpu limit not enforced: %s" % os.strerror(error.errno or 0))

    def start(self, program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> int:
        """Start the job, in a scope if its limits need one and systemd gives one. The supervisor is not bound."""
        before = os.sched_getaffinity(0)
        self.bind()
        try:
            if self.wants_scope():
                self.scope = self.enter_scope(program, env, task, prctl)
            return fork_job(program, env, task, prctl) if self.scope is None else self.scope.first
        finally:
            if self.limits.cpu_ids:
                os.sched_setaffinity(0, before)

    def wants_scope(self) -> bool:
        return self.limits.mem_bytes is not None or not self.limits.cpus_are_whole

    def enter_scope(self, program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> "Scope | None":
        """Start the job in a scope. None if there is none, and `no_scope` says why."""
        try:
            if task.spec.pty is not None:
                raise NoScopeError("it has a terminal")
            scope = Scope(find_systemd_run(task.spec.tied), task.name, self.limits.mem_bytes, self.limits.cpus)
            scope.start(program, env, task, prctl)
        except NoScopeError as error:
            self.no_scope = str(error)
            return None
        if self.limits.mem_bytes is not None and not scope.keeps_memory():
            self.no_scope = "its cgroup cannot limit memory"
        return scope

    def settle(self) -> None:
        """Complete `kept_by` and `unkept` after the start."""
        limits = self.limits
        if limits.cpus is not None:
            if self.scope is not None and self.scope.keeps_cpus():
                self.kept_by.append("cpu limit %g, enforced by cgroup" % limits.cpus)
            elif not limits.cpus_are_whole:
                self.unkept.append("cpu limit %g not enforced, only whole cpus are: %s" % (limits.cpus, self.no_scope))
        if limits.mem_bytes is None:
            return
        if self.scope is not None and self.scope.keeps_memory():
            self.kept_by.append("memory limit %s, enforced by cgroup" % size_text(limits.mem_bytes))
        else:
            watched = "memory limit %s, checked every %g s" % (size_text(limits.mem_bytes), WATCH_S)
            self.kept_by.append("%s (no scope: %s)" % (watched, self.no_scope))

    def memory(self, find: "Callable[[], Iterable[int]]") -> "MemoryWatch | ScopeMemory | None":
        """The watch of the memory limit, over the processes that `find` returns; None if there is no limit."""
        if self.limits.mem_bytes is None:
            return None
        if self.scope is not None and self.scope.keeps_memory():
            return ScopeMemory(self.limits.mem_bytes, self.scope.folder)
        return MemoryWatch(self.limits.mem_bytes, find)


def size_text(size: float) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return "%.3g %s" % (size / factor, unit)
    return "%d B" % size


# The memory of a tree of processes, measured repeatedly.


class MemoryWatch:
    """Compares the memory of the processes that `find` returns with a limit.

    Anonymous, shared and swapped memory counts, each page divided among the processes that share it. Mapped files do
    not count: the kernel can take their pages back.
    """

    def __init__(self, limit_bytes: int, find: "Callable[[], Iterable[int]]") -> None:
        self.limit_bytes = limit_bytes
        self.find = find
        self.due = time.monotonic() + WATCH_S
        self.was_over = False

    def look(self, now: float) -> "int | None":
        """The bytes in use, if they are above the limit twice in a row: a process seen during its fork counts twice."""
        if now < self.due:
            return None
        began = time.process_time()
        used = memory_taken(list(self.find()), self.limit_bytes)
        spent_s = time.process_time() - began
        is_over, was_over = used > self.limit_bytes, self.was_over
        self.was_over = is_over
        self.due = now + (WATCH_AGAIN_S if is_over and not was_over else max(WATCH_S, spent_s * WATCH_SHARE))
        return used if is_over and was_over else None

    def verdict(self, used_bytes: int) -> "dict[str, Any]":
        return {"kind": "out_of_memory", "limit_bytes": self.limit_bytes, "used_bytes": used_bytes}

    def end_of(self, natural: "dict[str, Any]") -> "dict[str, Any]":
        """The end of the job if nothing of ours ended it: as it is."""
        return natural


def memory_taken(pids: "list[int]", enough: int) -> int:
    """Bytes in use: an upper bound if that is at most `enough`, since it is cheap to read; else the exact number."""
    most = sum(most_memory(pid) for pid in pids)
    return most if most <= enough else sum(exact_memory(pid) for pid in pids)


def most_memory(pid: int) -> int:
    """An upper bound in bytes, as if no page were shared; 0 for a process that has ended."""
    fields = sizes_in(pid, "status")
    if "RssAnon" not in fields:  # before Linux 4.5
        return fields.get("VmRSS", 0) + fields.get("VmSwap", 0)
    return fields["RssAnon"] + fields.get("RssShmem", 0) + fields.get("VmSwap", 0)


def exact_memory(pid: int) -> int:
    """Bytes, each page divided among its sharers; the upper bound before Linux 4.14 and for another user's process."""
    fields = sizes_in(pid, "smaps_rollup")
    if "Pss_Anon" in fields:  # Linux 5.4
        return fields["Pss_Anon"] + fields.get("Pss_Shmem", 0) + fields.get("SwapPss", 0)
    return fields["Pss"] + fields.get("SwapPss", 0) if "Pss" in fields else most_memory(pid)


def sizes_in(pid: int, name: str) -> "dict[str, int]":
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as file:
            lines = re.findall(rb"^(\w+):\s*([0-9]+) kB$", file.read(), re.MULTILINE)
    except OSError:
        return {}
    return {key.decode("ascii"): int(kilobytes) << 10 for key, kilobytes in lines}
