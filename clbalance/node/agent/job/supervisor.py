"""The supervisor: one process per job, between the agent and the job's first process."""

import fcntl
import os
import select
import time

from clbalance.node.agent.job.fork import Unconfined
from clbalance.node.agent.job.life import Life
from clbalance.node.agent.job.orders import open_control, parse_order
from clbalance.node.agent.job.outcome import Usage, decide_fate, keep_exit
from clbalance.node.agent.job.program import Program, Spec, enter_folder
from clbalance.node.agent.job.task import Place, Task
from clbalance.node.agent.lease.admission import Admission, JobLimits, OwnLease, reserve_s
from clbalance.node.agent.protocol import (
    LISTEN_LONGEST_S,
    READ,
    UNTIED_GRACE_S,
    Lines,
    RefusedError,
    fail_point,
    refusal_of,
    shown,
)
from clbalance.node.agent.tree import Prctl
from clbalance.node.stdlib import dumps, loads, signal, suppress

MYPY = False
if MYPY:
    from typing import Any


class Supervisor:
    """Owns one job: gets its lease, starts it, obeys the agent's orders and records its end."""

    def __init__(self, place: Place, prctl: Prctl, control: int, status: int, guard: int) -> None:
        self.place = place
        self.guard = guard
        self.prctl = prctl
        self.orders = Lines(control)
        self.early: "list[bytes | None]" = []
        self.status = status
        self.adopting = prctl.adopt_orphans()
        self.usage = Usage()
        self.life = Life(place.name, self.adopting, self.usage)
        self.lease: "OwnLease | None" = None
        self.tied = False
        self.input: "int | None" = None  # open for writing until its input is complete: no end of file before that

    def run(self, admission: Admission) -> None:
        """Get a lease, wait for the order to start, start the job and work until its end."""
        self.wakes = wake_on_signals()
        try:
            self.lease = admission.admit(self.orders.fd)
            fail_point("admitted")
            self.tell("admitted", gpus=self.lease.gpus, **admission.more())
            self.start(Task(self.place, self.await_start(), self.lease))
        except (RefusedError, OSError, ImportError) as error:
            self.release()
            refusal = error if isinstance(error, RefusedError) else refusal_of(error)
            self.tell("refused", **refusal.to_fields())
            return
        self.poll = select.poll()
        for fd in (self.orders.fd, self.control.fd, self.wakes):
            self.poll.register(fd, select.POLLIN)
        self.obey(self.early)
        self.work()

    def await_start(self) -> Spec:
        """Wait for the order `start`; the job's spec. Later orders stay in `early`. `keep` restarts the waiting time.

        `RefusedError` if that time is over, the connection ended or the supervisor was told to stop.
        """
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
                        raise RefusedError("cancelled", "the job's supervisor received a signal to stop")
                else:
                    self.early = [line for line in self.orders.receive() if b'"keep"' not in (line or b"")]
                    until = time.monotonic() + reserve_s()
                    if self.orders.closed:
                        raise RefusedError("cancelled", "the connection to the node ended")
        del self.early[0]
        with open(os.open("spec", READ, dir_fd=self.place.folder), "rb") as file:
            return Spec(loads(file.read().decode("ascii")))

    def start(self, task: Task) -> None:
        """Start the job. Its fate becomes `started` right before the fork; `void` if the fork fails."""
        self.confinement = confinement_of(task.limits)
        cwd, warnings = enter_folder(task.spec)
        env = task.environment(cwd)
        program, more = task.program(env)
        fcntl.flock(self.place.folder, fcntl.LOCK_SH)  # systemd-tmpfiles leaves a locked folder alone
        self.control = open_control(self.place.folder)
        if not decide_fate(self.place.folder, "started"):
            raise RefusedError("void", "it was declared void before it started")
        fail_point("sealed")
        try:
            self.launch(program, env, task)
        except (RefusedError, OSError, ImportError):
            os.unlink("fate", dir_fd=self.place.folder)
            decide_fate(self.place.folder, "void")
            raise
        fail_point("forked")
        self.tied = task.spec.tied
        self.confinement.settle()
        kept, warnings = self.confinement.kept_by, warnings + more + task.warnings + self.confinement.unkept
        self.tell("started", pid=self.life.first, cwd=shown(cwd), warnings=warnings, limits=kept)

    def launch(self, program: Program, env: "dict[bytes, bytes]", task: Task) -> None:
        """The job's first process."""
        if not task.spec.fed:
            first = self.confinement.start(program, env, task, self.prctl)
        else:
            from clbalance.node.agent.job.input import make_fifo, open_writer

            fifo = make_fifo(task.folder)
            first = self.confinement.start(program, env, task, self.prctl)
            self.input = open_writer(task.folder)
            os.close(fifo)
        os.chdir("/")
        self.life.memory = self.confinement.memory(self.life.tree.members)
        self.life.begin(first, task.spec.grace_s, task.spec.time_limit_s)

    def release(self) -> None:
        if self.lease is not None:
            self.lease.release()
            self.lease = None

    def tell(self, ev: str, **news: object) -> None:
        news["ev"] = ev
        with suppress(BrokenPipeError):  # the agent is gone; the record is on disk
            os.write(self.status, dumps(news).encode("ascii") + b"\n")

    def work(self) -> None:
        """Follow the job from its start to its end, and record that."""
        self.wait_for_end(self.life)
        end = {"end": self.life.verdict, "seconds": round(self.life.seconds(), 6), "usage": self.usage.to_fields()}
        self.record(end, self.life.survivors())

    def wait_for_end(self, life: Life) -> None:
        """Wait until no process of it is left, or the rest cannot be killed."""
        while True:
            life.reap()
            life.keep_time(time.monotonic())
            if life.is_over(time.monotonic()):
                return
            self.listen(life.patience_ms(time.monotonic()))

    def listen(self, patience_ms: "float | None") -> None:
        """Wait at most `patience_ms` for orders and signals, and carry them out."""
        for fd, _ in self.poll.poll(patience_ms):
            if fd == self.wakes:
                if signal.SIGTERM in os.read(self.wakes, 4096):
                    self.end(
                        {"kind": "cancelled", "why": "the job's supervisor received a signal to stop"}, UNTIED_GRACE_S
                    )
            elif fd == self.control.fd:
                self.obey(self.control.receive())
            else:
                self.obey(self.orders.receive())
                if self.orders.closed:
                    self.poll.unregister(fd)

    def obey(self, lines: "list[bytes | None]") -> None:
        """Carry out orders, from the agent that started the job or a later one.

        A tied job ends with its agent, and so does one whose standard input is not complete.
        """
        for line in lines:
            self.carry_out(parse_order(line))
        if self.orders.closed and (self.tied or self.input is not None):
            what = "" if self.tied else "its standard input broke off: "
            self.end({"kind": "cancelled", "why": what + "the connection to the node ended"}, UNTIED_GRACE_S)

    def carry_out(self, order: "dict[str, Any]") -> None:
        if order.get("do") == "signal":
            self.life.signal(order["signal"])
        elif order.get("do") == "end":
            self.end({"kind": "cancelled", "why": order["why"]}, order["grace_s"])
        elif order.get("do") == "input_complete" and self.input is not None:
            os.close(self.input)
            self.input = None

    def end(self, verdict: "dict[str, Any]", grace_s: float) -> None:
        self.life.begin_end(verdict, grace_s)

    def record(self, end: "dict[str, Any]", warnings: "list[str]") -> None:
        """Write the end to disk, release the lease, then tell the agent."""
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
        except FileNotFoundError:  # the job removed its folder
            self.place.restore()
            keep_exit(self.place.folder, record)


def confinement_of(limits: JobLimits) -> Unconfined:
    """What starts a job with these limits."""
    if limits.cpus is None and limits.mem_bytes is None:
        return Unconfined()
    from clbalance.node.agent.job.confine import Confinement

    return Confinement(limits)


def wake_on_signals() -> int:
    """A descriptor that delivers the number of each CHLD and TERM as one byte."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    return reader
