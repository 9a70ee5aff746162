"""From a supervisor to its job's first process."""

import contextlib
import errno
import os
import signal

from clbalance.node.agent.program import Program
from clbalance.node.agent.task import Task
from clbalance.node.agent.terminal import run_on_terminal
from clbalance.node.agent.tree import Prctl

IGNORED: "list[int]" = []
POSIX_SPAWN_DUP2 = 2  # which Python has a name for since 3.8


def fork_job(program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> int:
    """The pid of the job's first process, once it has become `program`; a `RefusedError` where it could not."""
    streams = task.streams()
    ignored_signals()  # known before the fork
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
    """As `fork_job`, without a copy of the supervisor's memory; it does not end with the supervisor by itself.

    None where that cannot be done: before Python 3.8, before glibc 2.26, with a terminal.
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
    """Python's own (PIPE, XFSZ), the supervisor's, and what the node's login has left ignored; asked for once."""
    if not IGNORED:
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                if signal.getsignal(number) is signal.SIG_IGN:
                    IGNORED.append(number)
    return IGNORED


def become_job(supervisor: int, prctl: Prctl, streams: "list[int]", umask: int) -> None:
    """Turn this fork into a process as a login would have made it; every other descriptor closes on exec."""
    os.setsid()
    prctl.die_with_parent(supervisor)
    signal.set_wakeup_fd(-1)
    for number in ignored_signals():
        signal.signal(number, signal.SIG_DFL)  # execve(2) resets those that have a handler
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(umask)
    for target, fd in enumerate(streams):
        os.dup2(fd, target)
