"""The life of one program, from its start to the end of its last process."""

import os
import resource  # noqa: F401 - `os.wait4` imports it, and must not fail to when a job has ended
import time

from clbalance.node.agent.job.outcome import Usage, natural_end
from clbalance.node.agent.protocol import FAR_BEYOND, KILL_AGAIN_S, KILL_PATIENCE_S, LEFTOVER_GRACE_S, LISTEN_LONGEST_S
from clbalance.node.agent.tree import Process, Tree, below, carrying
from clbalance.node.stdlib import signal

MYPY = False
if MYPY:
    from typing import Any, Protocol

    class MemoryLimit(Protocol):
        """How a memory limit is kept."""

        limit_bytes: int

        @property
        def due(self) -> "float | None": ...

        def look(self, now: float) -> "int | None": ...

        def verdict(self, used_bytes: int) -> "dict[str, Any]": ...

        def end_of(self, natural: "dict[str, Any]") -> "dict[str, Any]": ...


class Life:
    """Keeps the time limit, ends processes that are left, and records how the program ended.

    With `adopting`, every orphan becomes a child of this process, and the life is over when no child is left: that is
    certain. Without it, processes are found by session and job key, which is repeated until none is left.
    """

    def __init__(self, name: str, adopting: bool, usage: Usage) -> None:
        self.name = name
        self.adopting = adopting
        self.usage = usage
        self.tree = Tree(self.search, self.children)
        self.first = 0
        self.first_ended_at: "float | None" = None
        self.childless = False
        self.verdict: "dict[str, Any] | None" = None
        self.kill_at: "float | None" = None
        self.give_up_at: "float | None" = None
        self.deadline: "float | None" = None
        self.started_at = 0.0
        self.grace_s = 0.0
        self.memory: "MemoryLimit | None" = None

    def begin(self, first: int, grace_s: float, limit_s: "float | None") -> None:
        """`first` is the pid of its first process, a leader of its own session."""
        self.first = first
        self.started_at = time.monotonic()
        self.grace_s = grace_s
        if limit_s is not None:
            self.deadline = self.started_at + limit_s

    def seconds(self) -> float:
        return (self.first_ended_at or time.monotonic()) - self.started_at

    def search(self, table: "dict[int, Process]") -> "set[int]":
        found = below(os.getpid(), table)
        if not self.adopting:
            found |= {pid for pid, process in table.items() if process.session == self.first}
            found |= carrying(os.fsencode(self.name), table)
        return found

    def children(self) -> "set[int]":
        """The children of this process, quickly read: also the newest of a chain of processes that fork and die."""
        self.reap()
        try:
            with open("/proc/self/task/%d/children" % os.getpid(), "rb") as file:
                return set(map(int, file.read().split()))
        except OSError:  # a kernel without CONFIG_PROC_CHILDREN
            return set()

    def signal(self, number: int) -> None:
        """Send a signal to every process of the program."""
        self.tree.signal(number, self.first)

    def reap(self) -> None:
        """Collect dead children. The end of the first process is the verdict, unless there is one already."""
        while True:
            try:
                pid, status, spent = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.childless = True
                return
            if pid == 0:
                self.childless = False
                return
            self.usage.add(spent)
            if pid == self.first:
                self.first_ended_at = time.monotonic()
                if self.verdict is None:
                    natural = natural_end(status)
                    self.verdict = natural if self.memory is None else self.memory.end_of(natural)

    def keep_time(self, now: float) -> None:
        """Enforce the limits and end processes that are left, as far as that is due."""
        self.keep_memory(now)
        if self.kill_at is None:
            if self.first_ended_at is not None and not self.is_over(now):
                self.begin_end(self.verdict or {}, LEFTOVER_GRACE_S)
            elif self.deadline is not None and now >= self.deadline:
                self.begin_end({"kind": "timeout"}, self.grace_s)
        elif now >= self.kill_at:
            self.tree.kill()
            self.kill_at = now + KILL_AGAIN_S

    def keep_memory(self, now: float) -> None:
        """End a program that uses too much memory; far above the limit, without grace."""
        used = None if self.memory is None else self.memory.look(now)
        if self.memory is not None and used is not None:
            is_far_beyond = used > FAR_BEYOND * self.memory.limit_bytes
            self.begin_end(self.memory.verdict(used), 0.0 if is_far_beyond else self.grace_s)

    def begin_end(self, verdict: "dict[str, Any]", grace_s: float) -> None:
        """Send TERM to all processes, and KILL after the grace. Another call can only make it sooner."""
        kill_at = time.monotonic() + grace_s
        if self.kill_at is None:
            self.verdict = self.verdict or verdict
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a stopped process would not handle TERM
            self.kill_at = kill_at
            self.give_up_at = kill_at + KILL_PATIENCE_S
        elif self.give_up_at is not None and kill_at + KILL_PATIENCE_S < self.give_up_at:
            self.kill_at = min(self.kill_at, kill_at)
            self.give_up_at = kill_at + KILL_PATIENCE_S

    def is_over(self, now: float) -> bool:
        if self.give_up_at is not None and now >= self.give_up_at:
            return True
        if self.first_ended_at is None or not self.childless:
            return False
        return self.adopting or not self.tree.members()

    def patience_ms(self, now: float) -> "float | None":
        """Milliseconds until the next check is due; None if none is."""
        due = self.deadline if self.kill_at is None else self.kill_at
        if self.memory is not None and self.memory.due is not None:
            due = self.memory.due if due is None else min(due, self.memory.due)
        if not self.adopting and self.first_ended_at is not None:
            again = now + KILL_AGAIN_S  # a search may miss a process that another one finds
            due = again if due is None else min(due, again)
        return None if due is None else min(max(0.0, due - now), LISTEN_LONGEST_S) * 1000 + 1

    def survivors(self) -> "list[str]":
        """A warning, if processes could not be killed."""
        left = [] if self.childless else sorted(self.tree.members())
        return ["could not be killed: pid %s" % ", ".join(map(str, left[:16]))] if left else []
