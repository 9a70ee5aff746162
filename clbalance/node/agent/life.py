"""One program and everything that it starts, from its fork to the end of the last of its processes."""

import os
import signal
import time

from clbalance.node.agent.limits import FAR_BEYOND, KILL_AGAIN_S, KILL_PATIENCE_S, LEFTOVER_GRACE_S, LISTEN_LONGEST_S
from clbalance.node.agent.record import Usage, natural_end
from clbalance.node.agent.scope import ScopeMemory
from clbalance.node.agent.tree import Process, Tree, below, carrying
from clbalance.node.agent.watch import MemoryWatch

MYPY = False
if MYPY:
    from typing import Any


class Life:
    """Holds the time limit, ends what is left, and knows how it ended.

    With `adopting`, every orphan becomes a child of this process: the life is over when there is no child left, which
    cannot be missed. Without, session and launch key must do, and are asked again and again.
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
        self.memory: "MemoryWatch | ScopeMemory | None" = None

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
        """What a chain of processes that fork and die leads to, at once: every orphan is a child of this process."""
        self.reap()
        try:
            with open("/proc/self/task/%d/children" % os.getpid(), "rb") as file:
                return set(map(int, file.read().split()))
        except OSError:  # a kernel without CONFIG_PROC_CHILDREN
            return set()

    def signal(self, number: int) -> None:
        """To every process of it."""
        self.tree.signal(number, self.first)

    def reap(self) -> None:
        """Collect what has died: the first process gives the verdict, if none was spoken before."""
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
        """Do what has fallen due."""
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
        """End what has taken too much; what goes on taking is not waited for."""
        used = None if self.memory is None else self.memory.look(now)
        if self.memory is not None and used is not None:
            is_far_beyond = used > FAR_BEYOND * self.memory.limit_bytes
            self.begin_end(self.memory.verdict(used), 0.0 if is_far_beyond else self.grace_s)

    def begin_end(self, verdict: "dict[str, Any]", grace_s: float) -> None:
        """TERM to the whole tree, KILL after the grace. Said again, it can only become sooner."""
        kill_at = time.monotonic() + grace_s
        if self.kill_at is None:
            self.verdict = self.verdict or verdict
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # who is stopped could not heed it
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
        """How long there is nothing to do but listen."""
        due = self.deadline if self.kill_at is None else self.kill_at
        if self.memory is not None and self.memory.due is not None:
            due = self.memory.due if due is None else min(due, self.memory.due)
        if due is not None and not self.adopting and self.first_ended_at is not None:
            due = min(due, now + KILL_AGAIN_S)
        return None if due is None else min(max(0.0, due - now), LISTEN_LONGEST_S) * 1000 + 1

    def survivors(self) -> "list[str]":
        """A warning, where something could not be killed."""
        left = [] if self.childless else sorted(self.tree.members())
        return ["could not be killed: pid %s" % ", ".join(map(str, left[:16]))] if left else []
