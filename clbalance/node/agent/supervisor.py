"""One per job, between the agent and the job's first process."""

import contextlib
import json
import os
import select
import signal
import time

from clbalance.node.agent.admission import Admission, OwnLease, reserve_s
from clbalance.node.agent.folder import keep_exit
from clbalance.node.agent.fork import fork_job
from clbalance.node.agent.limits import (
    KILL_AGAIN_S,
    KILL_PATIENCE_S,
    LEFTOVER_GRACE_S,
    LISTEN_LONGEST_S,
    READ,
    UNTIED_GRACE_S,
)
from clbalance.node.agent.program import enter_folder
from clbalance.node.agent.spec import Spec
from clbalance.node.agent.task import Place, Task
from clbalance.node.agent.tree import Prctl, Process, Tree, below, carrying
from clbalance.node.agent.wire import Lines
from clbalance.node.agent.words import RefusedError, refusal_of, shown

MYPY = False
if MYPY:
    from typing import Any


class Usage:
    """What the reaped processes of a job took, their own reaped children included."""

    def __init__(self) -> None:
        self.user_s = 0.0
        self.system_s = 0.0
        self.max_rss_bytes = 0

    def add(self, spent: "Any") -> None:
        self.user_s += spent.ru_utime
        self.system_s += spent.ru_stime
        self.max_rss_bytes = max(self.max_rss_bytes, spent.ru_maxrss * 1024)

    def told(self) -> "dict[str, float]":
        return {
            "user_s": round(self.user_s, 6),
            "system_s": round(self.system_s, 6),
            "max_rss_bytes": self.max_rss_bytes,
        }


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
        self.grace_s = 0.0
        self.first = 0
        self.first_ended_at: "float | None" = None
        self.childless = False
        self.usage = Usage()
        self.verdict: "dict[str, Any] | None" = None
        self.kill_at: "float | None" = None
        self.give_up_at: "float | None" = None
        self.deadline: "float | None" = None

    def run(self, work: "Spec | Admission") -> None:
        """A job that is given goes at once; one that must be admitted first is awaited under its lease."""
        self.wakes = wake_on_signals()
        try:
            spec = work if isinstance(work, Spec) else self.reserve(work)
            self.start(Task(self.place, spec, self.lease.gpus if self.lease is not None else []))
        except (RefusedError, OSError) as error:
            refusal = error if isinstance(error, RefusedError) else refusal_of(error)
            self.release()
            self.tell("refused", kind=refusal.kind, why=refusal.why, rc=refusal.rc)
            return
        self.obey(self.early)
        self.watch()
        self.record()

    def reserve(self, admission: "Admission") -> Spec:
        """Take a lease, and wait under it for what is to be started."""
        self.lease = admission.admit(self.orders.fd)
        self.tell("admitted", gpus=self.lease.gpus)
        self.await_start()
        with open(os.open("spec", READ, dir_fd=self.place.folder), "rb") as file:
            return Spec(json.loads(file.read().decode("ascii")))

    def await_start(self) -> None:
        """Until the start is ordered; what came with it waits in `early`. `keep` means that input still arrives."""
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

    def start(self, task: Task) -> None:
        cwd, warnings = enter_folder(task.spec)
        env = task.environment(cwd)
        program, more = task.program(env)
        self.first = fork_job(program, env, task, self.prctl)
        os.chdir("/")
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
        poll.register(self.orders.fd, select.POLLIN)
        poll.register(self.wakes, select.POLLIN)
        while True:
            self.reap()
            self.keep_time(time.monotonic())
            if self.is_over(time.monotonic()):
                return
            for fd, _ in poll.poll(self.patience_ms(time.monotonic())):
                if fd == self.wakes:
                    self.heed_signals()
                else:
                    self.obey(self.orders.receive())
                    if self.orders.closed:
                        poll.unregister(fd)

    def obey(self, lines: "list[bytes | None]") -> None:
        """Carry out the agent's orders. They end when the agent does, and a tied job with them."""
        for line in lines:
            order = json.loads((line or b"").decode("ascii"))
            if order["do"] == "signal":
                self.tree.signal(order["signal"], self.first)
            else:
                self.begin_end({"kind": "cancelled", "why": order["why"]}, order["grace_s"])
        if self.orders.closed:
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
        try:
            keep_exit(self.place.folder, dict(end, warnings=warnings))
        except OSError as error:
            warnings.append("the record of the end was not kept: %s" % os.strerror(error.errno or 0))
        self.release()
        self.tell("ended", warnings=warnings, **end)


def natural_end(status: int) -> "dict[str, Any]":
    if os.WIFSIGNALED(status):
        return {"kind": "killed", "signal": os.WTERMSIG(status)}
    return {"kind": "exited", "rc": os.WEXITSTATUS(status)}


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
