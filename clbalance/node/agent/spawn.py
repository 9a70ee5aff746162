"""From the agent to a supervisor."""

import contextlib
import os

from clbalance.node.agent.admission import Admission
from clbalance.node.agent.guard import stand_guard
from clbalance.node.agent.orders import order_text
from clbalance.node.agent.supervisor import Supervisor
from clbalance.node.agent.task import Place
from clbalance.node.agent.tree import Prctl
from clbalance.node.agent.wire import Lines


def leave_channel(keep: "set[int]") -> None:
    """Hold nothing of the agent's: an open copy of the channel, or of another job's tie, would keep it alive."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in keep:
            try:
                os.close(fd)
            except OSError:
                continue  # the listing's own


class Link:
    """The agent's ends of the pipes to one supervisor: orders go down, news come up.

    Closing it ends a job that has not started, or is tied.
    """

    def __init__(self, control: int, status: int) -> None:
        os.set_blocking(control, False)
        os.set_blocking(status, False)
        self.control = control
        self.news = Lines(status)

    def order(self, do: str, **facts: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # the job has just ended; the news of it are on their way
            os.write(self.control, order_text(do, **facts))

    def close(self) -> None:
        os.close(self.control)
        os.close(self.news.fd)


def fork_under_guard(name: str, prctl: Prctl) -> int:
    """Return in a child, of which this process becomes the guard; the guard's pid, or 0 where there can be none."""
    if not prctl.adopt_orphans():
        return 0
    guard = os.getpid()
    supervisor = os.fork()
    if supervisor == 0:
        return guard
    leave_channel(set())
    stand_guard(supervisor, name)
    os._exit(0)


def spawn_supervisor(
    kind: "type[Supervisor]", place: Place, admission: Admission, prctl: Prctl, *, guarded: bool
) -> Link:
    """A supervisor of that kind in a session of its own that no process of ours has to wait for."""
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
