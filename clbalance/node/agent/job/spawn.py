"""Starts a supervisor from the agent, and the guard of a slot's supervisor (docs/design/agent.md)."""

import os
import time

from clbalance.node.agent.job.life import Life
from clbalance.node.agent.job.orders import order_text
from clbalance.node.agent.job.outcome import Usage
from clbalance.node.agent.job.supervisor import Supervisor
from clbalance.node.agent.job.task import Place
from clbalance.node.agent.lease.admission import Admission
from clbalance.node.agent.protocol import KILL_AGAIN_S, KILL_PATIENCE_S, Lines
from clbalance.node.agent.tree import Prctl
from clbalance.node.stdlib import signal, suppress


def leave_channel(keep: "set[int]") -> None:
    """Close the agent's descriptors: an open copy would keep the channel, or the pipe to another job, alive."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in keep:
            try:
                os.close(fd)
            except OSError:
                continue  # the descriptor of the listing itself


class Link:
    """The agent's ends of the pipes to one supervisor: for orders to it and news from it.

    Closing it ends a job that has not started or is tied.
    """

    def __init__(self, control: int, status: int) -> None:
        os.set_blocking(control, False)
        os.set_blocking(status, False)
        self.control = control
        self.news = Lines(status)

    def order(self, do: str, **facts: object) -> None:
        with suppress(BrokenPipeError):  # the job has just ended; its news will say so
            os.write(self.control, order_text(do, **facts))

    def close(self) -> None:
        os.close(self.control)
        os.close(self.news.fd)


def fork_under_guard(name: str, prctl: Prctl) -> int:
    """Fork and return in the child; the parent becomes its guard. The guard's pid, or 0 if there can be none."""
    if not prctl.adopt_orphans():
        return 0
    guard = os.getpid()
    supervisor = os.fork()
    if supervisor == 0:
        return guard
    leave_channel(set())
    stand_guard(supervisor, name)
    os._exit(0)


def spawn_supervisor(kind: "type[Supervisor]", place: Place, admission: Admission, *, guarded: bool) -> Link:
    """Start a supervisor of that class, in its own session and as no child of the agent. May raise `OSError`."""
    prctl = Prctl()
    control, control_writer = os.pipe()
    status_reader, status = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        for fd in (control, control_writer, status_reader, status):
            os.close(fd)
        raise
    if pid == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                guard = fork_under_guard(place.name, prctl) if guarded else 0
                leave_channel({control, status, place.folder, place.jobs, admission.home_fd})
                kind(place, prctl, control, status, guard).run(admission)
        finally:
            os._exit(0)
    os.close(control)
    os.close(status)
    os.waitpid(pid, 0)
    return Link(control_writer, status_reader)


# The guard: parent of a slot's supervisor. If that dies, the guard ends the slot's processes (docs/design/agent.md).


def stand_guard(supervisor: int, name: str) -> None:
    """Wait for the supervisor's end, then end the processes that it left. They are our children: we adopt orphans."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.waitpid(supervisor, 0)
    end_leftovers(Life(name, True, Usage()))


def end_leftovers(life: Life) -> None:
    """Kill children until none is left or `KILL_PATIENCE_S` is over. A supervisor that ended normally leaves none."""
    until = time.monotonic() + KILL_PATIENCE_S
    life.reap()
    while not life.childless and time.monotonic() < until:
        life.tree.kill()
        time.sleep(KILL_AGAIN_S)
        life.reap()
