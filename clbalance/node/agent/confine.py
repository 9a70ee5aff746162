"""Keeps a job within its limits, as far as that can be done without root, and knows by what."""

import contextlib
import os

from clbalance.node.agent.cpu_ids import cpulist_text
from clbalance.node.agent.fork import fork_job
from clbalance.node.agent.job_limits import JobLimits, cpus_to_bind
from clbalance.node.agent.limits import WATCH_S
from clbalance.node.agent.program import Program
from clbalance.node.agent.scope import NoScopeError, Scope, ScopeMemory, find_systemd_run
from clbalance.node.agent.task import Task
from clbalance.node.agent.tree import Prctl
from clbalance.node.agent.watch import MemoryWatch

MYPY = False
if MYPY:
    from typing import Callable, Iterable, Iterator


class Confinement:
    """`told`: by what each limit is kept. `unkept`: which is not, and why."""

    def __init__(self, limits: JobLimits) -> None:
        self.limits = limits
        self.told: "list[str]" = []
        self.unkept: "list[str]" = []
        self.scope: "Scope | None" = None
        self.no_scope = "slots are bound and watched"

    def bind(self) -> None:
        """This process and what it starts from now on to the cpus of its lease."""
        limits = self.limits
        if limits.cpus is None:
            return
        if not cpus_to_bind(limits.cpus):
            self.told.append("cpus: it may use %d there" % len(os.sched_getaffinity(0)))
        elif not limits.cpu_ids:
            self.unkept.append("cpu limit not enforced: its lease has no room for the cpus")
        else:
            try:
                os.sched_setaffinity(0, limits.cpu_ids)
                self.told.append("cpus %s by affinity" % cpulist_text(limits.cpu_ids))
            except OSError as error:
                self.unkept.append("cpu limit not enforced: %s" % os.strerror(error.errno or 0))

    @contextlib.contextmanager
    def bound(self) -> "Iterator[None]":
        """Only what is started meanwhile: who keeps it must not wait for it."""
        before = os.sched_getaffinity(0)
        self.bind()
        try:
            yield
        finally:
            if self.limits.cpu_ids:
                os.sched_setaffinity(0, before)

    def start(self, program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> int:
        """The pid of its first process, in a scope if that is of use and can be had."""
        try:
            if self.wants_scope():
                self.scope = self.enter_scope(program, env, task, prctl)
                return self.scope.first
        except NoScopeError as error:
            self.no_scope = str(error)
        return fork_job(program, env, task, prctl)

    def wants_scope(self) -> bool:
        return self.limits.mem_bytes is not None or not self.limits.cpus_are_whole

    def enter_scope(self, program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> Scope:
        if task.spec.pty is not None:
            raise NoScopeError("it has a terminal")
        scope = Scope(find_systemd_run(task.spec.tied), task.name, self.limits.mem_bytes, self.limits.cpus)
        scope.start(program, env, task, prctl)
        if self.limits.mem_bytes is not None and not scope.keeps_memory():
            self.no_scope = "the scope's cgroup has no such limit"
        return scope

    def settle(self) -> None:
        """What is told of limits, once it is started."""
        limits = self.limits
        if limits.cpus is not None:
            if self.scope is not None and self.scope.keeps_cpus():
                self.told.append("%g cpus by the scope's cgroup" % limits.cpus)
            elif not limits.cpus_are_whole:
                self.unkept.append("cpu limit of %g not enforced, only whole cpus: %s" % (limits.cpus, self.no_scope))
        if limits.mem_bytes is None:
            return
        if self.scope is not None and self.scope.keeps_memory():
            self.told.append("memory %s by the scope's cgroup" % size_text(limits.mem_bytes))
        else:
            watched = "memory %s watched every %g s" % (size_text(limits.mem_bytes), WATCH_S)
            self.told.append("%s (no scope: %s)" % (watched, self.no_scope))

    def memory(self, find: "Callable[[], Iterable[int]]") -> "MemoryWatch | ScopeMemory | None":
        """What sees to the memory of the processes that `find` finds; None where there is no limit."""
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
