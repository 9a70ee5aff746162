"""Starts a job's first process from its supervisor, with or without a terminal."""

import errno
import os

from clbalance.node.agent.job.program import Program
from clbalance.node.agent.job.task import Task
from clbalance.node.agent.tree import Prctl
from clbalance.node.stdlib import signal, suppress

MYPY = False
if MYPY:
    from typing import Callable, Iterable

    from clbalance.node.agent.job.life import MemoryLimit


IGNORED: "list[int]" = []
POSIX_SPAWN_DUP2 = 2  # os has the name since Python 3.8


def fork_job(program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> int:
    """Start the job's first process and wait until it executes `program`. Its pid; `RefusedError` if that fails."""
    if task.spec.pty is not None:
        from clbalance.node.agent.job.terminal import run_on_terminal
    streams = task.streams()
    ignored_signals()  # fills the cache before the fork
    reader, writer = os.pipe()
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        failure = errno.EINVAL
        try:
            become_job(supervisor, prctl, streams, task.spec.umask)
            if task.spec.pty is not None:
                run_on_terminal(program, env, task.folder, task.spec.pty).keep_and_exit()
            os.execve(program.path, program.argv, env)  # noqa: S606 - that is what a job is
        except OSError as error:
            failure = error.errno or failure
        finally:
            os.write(writer, b"%d" % failure)
            os._exit(127)
    for fd in [*streams, writer]:
        os.close(fd)
    answer = os.read(reader, 16)  # execve closes it
    os.close(reader)
    if answer:
        os.waitpid(pid, 0)
        raise program.refusal(OSError(int(answer), ""))
    return pid


def spawn_job(program: Program, env: "dict[bytes, bytes]", task: Task) -> "int | None":
    """Like `fork_job`, but without copying the supervisor's memory. The process does not die with the supervisor.

    None if that is impossible: before Python 3.8, before glibc 2.26, with a terminal.
    """
    spawn = getattr(os, "posix_spawn", None)
    if spawn is None or task.spec.pty is not None:
        return None
    streams = task.streams()
    umask = os.umask(task.spec.umask)
    try:
        moves = [(POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(streams)]
        options = {"setsid": True, "setsigmask": [], "setsigdef": ignored_signals()}
        return int(spawn(program.path, program.argv, env, file_actions=moves, **options))
    except NotImplementedError:
        return None
    except OSError as error:
        raise program.refusal(error) from None
    finally:
        os.umask(umask)
        for fd in streams:
            os.close(fd)


def ignored_signals() -> "list[int]":
    """The signals ignored by Python (PIPE, XFSZ), by the supervisor and by the node's login; cached."""
    if not IGNORED:
        for number in range(1, signal.NSIG):
            with suppress(OSError, ValueError):
                if signal.getsignal(number) is signal.SIG_IGN:
                    IGNORED.append(number)
    return IGNORED


def become_job(supervisor: int, prctl: Prctl, streams: "list[int]", umask: int) -> None:
    """Turn this fork into a process such as a login would start. All other descriptors close on exec."""
    os.setsid()
    prctl.die_with_parent(supervisor)
    signal.set_wakeup_fd(-1)
    for number in ignored_signals():
        signal.signal(number, signal.SIG_DFL)  # execve(2) resets those that have a handler
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(umask)
    for target, fd in enumerate(streams):
        os.dup2(fd, target)


class Unconfined:
    """How a job without limits is started. `Confinement` does it for others.

    `kept_by`: how each limit is enforced. `unkept`: which is not, and why. Both are texts.
    """

    def __init__(self) -> None:
        self.kept_by: "list[str]" = []
        self.unkept: "list[str]" = []

    def bind(self) -> None:
        """Bind this process, and the processes that it starts from now on, to the cpus of its lease."""

    def start(self, program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> int:
        """Start the job. The pid of its first process."""
        return fork_job(program, env, task, prctl)

    def settle(self) -> None:
        """Complete `kept_by` and `unkept` after the start."""

    def memory(self, find: "Callable[[], Iterable[int]]") -> "MemoryLimit | None":
        """What watches the memory of the processes that `find` returns; None if there is no limit."""
        return None
