"""Starts a job's first process from its supervisor, with or without a terminal."""

import contextlib
import errno
import os
import select
import signal
import struct
import time

from clbalance.node.agent.job.program import Program
from clbalance.node.agent.job.task import Task
from clbalance.node.agent.lease.admission import reserve_s
from clbalance.node.agent.protocol import HANG_UP_PATIENCE_S
from clbalance.node.agent.tree import Prctl

MYPY = False
if MYPY:
    import socket


IGNORED: "list[int]" = []
POSIX_SPAWN_DUP2 = 2  # os has the name since Python 3.8


def fork_job(program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> int:
    """Start the job's first process and wait until it executes `program`. Its pid; `RefusedError` if that fails."""
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
            with contextlib.suppress(OSError, ValueError):
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


# A job on a terminal: its first process makes a pseudo-terminal, runs the program on it, and keeps it for a relay.
#
# The relay (node/relay.py) runs in an ssh session of its own. It connects to the socket `terminal` in the job's folder
# and receives the other side of the terminal. The terminal is kept as long as the relay keeps the connection.

UNTOUCHED = (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD)
NOBODY_CAME = 125


def run_on_terminal(
    program: Program, env: "dict[bytes, bytes]", folder: int, size: "dict[str, int]"
) -> "TerminalKeeper":
    """Start the program on a terminal of that size. `OSError` if it cannot be executed."""
    import fcntl
    import termios

    listener = listen_in(folder)
    master, slave = os.openpty()
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", size["rows"], size["columns"], 0, 0))
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        failure = 1
        try:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for target in (0, 1, 2):
                os.dup2(slave, target)
            os.execve(program.path, program.argv, env)  # noqa: S606 - that is what a job is
        except OSError as error:
            failure = error.errno or failure
        finally:
            os.write(writer, b"%d" % failure)
            os._exit(127)
    os.close(writer)
    answer = os.read(reader, 16)
    if answer:
        raise OSError(int(answer), "")
    return TerminalKeeper(pid, master, listener)


def listen_in(folder: int) -> "socket.socket":
    """Listen on the socket `terminal`, by the folder's descriptor: its path may be too long for a socket."""
    import socket

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listener.bind("/proc/self/fd/%d/terminal" % folder)
    finally:
        os.umask(umask)
    listener.listen(1)
    return listener


class TerminalKeeper:
    """Waits for the program's end, and hands its terminal to the relay that connects."""

    def __init__(self, pid: int, master: int, listener: "socket.socket") -> None:
        self.pid = pid
        self.master = master
        self.listener: "socket.socket | None" = listener
        self.link: "socket.socket | None" = None
        self.code: "int | None" = None
        self.give_up_at = time.monotonic() + reserve_s()

    def keep_and_exit(self) -> None:
        """Keep, and exit. Never returns: this process is a fork, and the code after the call is the supervisor's."""
        code = NOBODY_CAME
        try:
            code = self.keep()
        finally:
            os._exit(code)

    def keep(self) -> int:
        """Wait for the program; its exit code, as in a shell. Signals to the job are for the program, ignored here."""
        leave_all_but({self.master, self.listener.fileno() if self.listener is not None else -1})
        self.wakes = wake_on_children()
        for number in range(1, signal.NSIG):
            if number not in UNTOUCHED:
                with contextlib.suppress(OSError, ValueError):
                    signal.signal(number, signal.SIG_IGN)
        while True:
            self.reap()
            if self.code is not None and self.listener is None:
                return self.code
            if self.give_up_at and time.monotonic() >= self.give_up_at:
                return self.end_without_terminal()
            self.listen()

    def reap(self) -> None:
        """Collect the program's exit code. Its last output is still in the terminal, for the relay to fetch."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def listen(self) -> None:
        poll = select.poll()
        others = [one for one in (self.listener, self.link) if one is not None]
        for one in (self.wakes, *(other.fileno() for other in others)):
            poll.register(one, select.POLLIN)
        left = max(0.0, self.give_up_at - time.monotonic()) * 1000 + 1 if self.give_up_at else None
        for fd, _ in poll.poll(left):
            if fd == self.wakes:
                os.read(self.wakes, 4096)
            elif self.listener is not None:
                self.hand_over(self.listener)
            else:
                self.hang_up()

    def hand_over(self, listener: "socket.socket") -> None:
        import socket

        self.link = listener.accept()[0]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.link.sendmsg([b"t"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", self.master))])
        listener.close()
        self.listener = None
        self.give_up_at = 0.0

    def hang_up(self) -> None:
        """The relay is gone: close the terminal. The program gets SIGHUP, and may ignore it."""
        if self.link is not None:
            self.link.close()
            self.link = None
            os.close(self.master)
            self.give_up_at = time.monotonic() + HANG_UP_PATIENCE_S

    def end_without_terminal(self) -> int:
        if self.listener is None:
            return 128 + signal.SIGHUP
        os.write(2, b"nobody came for the terminal of this job within %g s\n" % reserve_s())
        return NOBODY_CAME if self.code is None else self.code


def leave_all_but(keep: "set[int]") -> None:
    """Close other descriptors: an open copy of the supervisor's would tell its agent that the supervisor lives."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with contextlib.suppress(OSError):  # the descriptor of the listing itself
                os.close(int(name))


def wake_on_children() -> int:
    """A descriptor that delivers one byte for each SIGCHLD."""
    reader, writer = os.pipe()
    for fd in (reader, writer):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader
