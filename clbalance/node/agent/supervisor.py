"""One per job, between the agent and the job's first process."""

import contextlib
import json
import os
import select
import signal
import time

from clbalance.node.agent.admission import Admission, OwnLease, reserve_s
from clbalance.node.agent.fate import seal
from clbalance.node.agent.fork import fork_job
from clbalance.node.agent.limits import (
    KILL_AGAIN_S,
    KILL_PATIENCE_S,
    LEFTOVER_GRACE_S,
    LISTEN_LONGEST_S,
    READ,
    UNTIED_GRACE_S,
)
from clbalance.node.agent.orders import open_door, parse_order
from clbalance.node.agent.program import enter_folder
from clbalance.node.agent.record import Usage, keep_exit, natural_end
from clbalance.node.agent.spec import Spec
from clbalance.node.agent.task import Place, Task
from clbalance.node.agent.tree import Prctl, Process, Tree, below, carrying
from clbalance.node.agent.wire import Lines
from clbalance.node.agent.words import RefusedError, fail_point, refusal_of, shown

MYPY = False
if MYPY:
    from typing import Any


class Supervisor:
    """Keeps one job: admits and starts it, obeys the agent, holds the time limit, ends what is left, records the end.

    With `adopting`, every orphan of the job becomes a child of this process: the job is over when there is no child
    left, which cannot be missed. Without, its session and its launch key must do, and are asked again and again.
    """

    def __init__(self, place: Place, prctl: Prctl, control: int, status: int) -> None:
        self.place = place
        self.prctl = prctl
        self.orders = Lines(control)
        self.early: "list[bytes | None]" = []
        self.status = status
        self.adopting = prctl.adopt_orphans()
        self.tree = Tree(self.search, self.children)
        self.lease: "OwnLease | None" = None
        self.tied = False
        self.grace_s = 0.0
        self.first = 0
        self.first_ended_at: "float | None" = None
        self.childless = False
        self.usage = Usage()
        self.verdict: "dict[str, Any] | None" = None
        self.kill_at: "float | None" = None
        self.give_up_at: "float | None" = None
        self.deadline: "float | None" = None

    def run(self, admission: Admission) -> None:
        """A lease first; under it, what is to be started is awaited."""
        self.wakes = wake_on_signals()
        try:
            self.lease = admission.admit(self.orders.fd)
            fail_point("admitted")
            self.tell("admitted", gpus=self.lease.gpus)
            self.start(Task(self.place, self.await_start(), self.lease))
        except (RefusedError, OSError) as error:
            refusal = error if isinstance(error, RefusedError) else refusal_of(error)
            self.release()
            self.tell("refused", kind=refusal.kind, why=refusal.why, rc=refusal.rc)
            return
        self.obey(self.early)
        self.watch()
        self.record()

    def await_start(self) -> Spec:
        """What is to be started, once that is ordered; what comes behind waits in `early`. `keep`: input arrives."""
        until = time.monotonic() + reserve_s()
        poll = select.poll()
        poll.register(self.orders.fd, select.POLLIN)
        poll.register(self.wakes, select.POLLIN)
        while not self.early:
            left = until - time.monotonic()
            if left <= 0:
                raise RefusedError("expired", "was not started within %g s of its admission" % reserve_s())
            for fd, _ in poll.poll(min(left, LISTEN_LONGEST_S) * 1000 + 1):
                if fd == self.wakes:
                    if signal.SIGTERM in os.read(self.wakes, 4096):
                        raise RefusedError("cancelled", "the job's supervisor was told to stop")
                else:
                    self.early = [line for line in self.orders.receive() if b'"keep"' not in (line or b"")]
                    until = time.monotonic() + reserve_s()
                    if self.orders.closed:
                        raise RefusedError("cancelled", "the connection to the node ended")
        del self.early[0]
        with open(os.open("spec", READ, dir_fd=self.place.folder), "rb") as file:
            return Spec(json.loads(file.read().decode("ascii")))

    def start(self, task: Task) -> None:
        """The fate is sealed between the last thing that may fail by itself and the fork, which opens it again."""
        import fcntl

        cwd, warnings = enter_folder(task.spec)
        env = task.environment(cwd)
        program, more = task.program(env)
        fcntl.flock(self.place.folder, fcntl.LOCK_SH)  # systemd-tmpfiles ages nothing in a locked folder
        self.door = open_door(self.place.folder)
        if not seal(self.place.folder, "started"):
            raise RefusedError("void", "it was settled before that it had not started")
        fail_point("sealed")
        try:
            self.first = fork_job(program, env, task, self.prctl)
        except (RefusedError, OSError):
            os.unlink("fate", dir_fd=self.place.folder)
            seal(self.place.folder, "void")
            raise
        fail_point("forked")
        os.chdir("/")
        self.tied = task.spec.tied
        self.started_at = time.monotonic()
        self.grace_s = task.spec.grace_s
        if task.spec.time_limit_s is not None:
            self.deadline = self.started_at + task.spec.time_limit_s
        self.tell("started", pid=self.first, cwd=shown(cwd), warnings=warnings + more)

    def release(self) -> None:
        if self.lease is not None:
            self.lease.release()
            self.lease = None

    def tell(self, ev: str, **news: object) -> None:
        news["ev"] = ev
        with contextlib.suppress(BrokenPipeError):  # the agent has gone; what matters is on disk
            os.write(self.status, json.dumps(news).encode("ascii") + b"\n")

    def search(self, table: "dict[int, Process]") -> "set[int]":
        found = below(os.getpid(), table)
        if not self.adopting:
            found |= {pid for pid, process in table.items() if process.session == self.first}
            found |= carrying(os.fsencode(self.place.name), table)
        return found

    def children(self) -> "set[int]":
        """What a chain of processes that fork and die leads to, at once: every orphan is a child of this process."""
        self.reap()
        try:
            with open("/proc/self/task/%d/children" % os.getpid(), "rb") as file:
                return set(map(int, file.read().split()))
        except OSError:  # a kernel without CONFIG_PROC_CHILDREN
            return set()

    def watch(self) -> None:
        """Until nothing of the job is left, or nothing more can be done about it."""
        poll = select.poll()
        for fd in (self.orders.fd, self.door.fd, self.wakes):
            poll.register(fd, select.POLLIN)
        while True:
            self.reap()
            self.keep_time(time.monotonic())
            if self.is_over(time.monotonic()):
                return
            for fd, _ in poll.poll(self.patience_ms(time.monotonic())):
                if fd == self.wakes:
                    self.heed_signals()
                elif fd == self.door.fd:
                    self.obey(self.door.receive())
                else:
                    self.obey(self.orders.receive())
                    if self.orders.closed:
                        poll.unregister(fd)

    def obey(self, lines: "list[bytes | None]") -> None:
        """Carry out orders, of the agent that started the job or of a later one. A tied job ends with its agent."""
        for line in lines:
            order = parse_order(line)
            if order.get("do") == "signal":
                self.tree.signal(order["signal"], self.first)
            elif order.get("do") == "end":
                self.begin_end({"kind": "cancelled", "why": order["why"]}, order["grace_s"])
        if self.orders.closed and self.tied:
            self.begin_end({"kind": "cancelled", "why": "the connection to the node ended"}, UNTIED_GRACE_S)

    def heed_signals(self) -> None:
        if signal.SIGTERM in os.read(self.wakes, 4096):
            self.begin_end({"kind": "cancelled", "why": "the job's supervisor was told to stop"}, UNTIED_GRACE_S)

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
                    self.verdict = natural_end(status)

    def keep_time(self, now: float) -> None:
        """Do what has fallen due."""
        if self.kill_at is None:
            if self.first_ended_at is not None and not self.is_over(now):
                self.begin_end(self.verdict or {}, LEFTOVER_GRACE_S)
            elif self.deadline is not None and now >= self.deadline:
                self.begin_end({"kind": "timeout"}, self.grace_s)
        elif now >= self.kill_at:
            self.tree.kill()
            self.kill_at = now + KILL_AGAIN_S

    def begin_end(self, verdict: "dict[str, Any]", grace_s: float) -> None:
        """TERM to the whole tree, KILL after the grace. Said again, it can only become sooner."""
        kill_at = time.monotonic() + grace_s
        if self.kill_at is None:
            self.verdict = self.verdict or verdict
            self.tree.signal(signal.SIGTERM, self.first)
            self.tree.signal(signal.SIGCONT, self.first)  # who is stopped could not heed it
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
        if due is not None and not self.adopting and self.first_ended_at is not None:
            due = min(due, now + KILL_AGAIN_S)
        return None if due is None else min(max(0.0, due - now), LISTEN_LONGEST_S) * 1000 + 1

    def record(self) -> None:
        """Keep the end on disk, give back what was promised, then tell it."""
        left = sorted(self.tree.members()) if not self.childless else []
        warnings = ["could not be killed: pid %s" % ", ".join(map(str, left[:16]))] if left else []
        seconds = (self.first_ended_at or time.monotonic()) - self.started_at
        end: "dict[str, Any]" = {"end": self.verdict, "seconds": round(seconds, 6), "usage": self.usage.told()}
        fail_point("over")
        try:
            self.keep(dict(end, warnings=warnings))
        except OSError as error:
            warnings.append("the record of the end was not kept: %s" % os.strerror(error.errno or 0))
        fail_point("kept")
        self.release()
        self.tell("ended", warnings=warnings, **end)

    def keep(self, record: "dict[str, Any]") -> None:
        try:
            keep_exit(self.place.folder, record)
        except FileNotFoundError:  # nothing can be made in a folder that was removed
            self.place.restore()
            keep_exit(self.place.folder, record)


def wake_on_signals() -> int:
    """A descriptor on which every CHLD and TERM is one byte, its number."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    return reader
