"""A job on a terminal: its first process keeps a pseudo-terminal, on which the program runs, for a relay to fetch.

The relay (node/relay.py) comes by a session of its own, connects to the socket `terminal` in the job's folder, and is
given the terminal's other side. While it holds the connection, the program has somebody to talk to.
"""

import contextlib
import os
import select
import signal
import struct
import time

from clbalance.node.agent.admission import reserve_s
from clbalance.node.agent.limits import HANG_UP_PATIENCE_S
from clbalance.node.agent.program import Program

MYPY = False
if MYPY:
    import socket

UNTOUCHED = (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD)
NOBODY_CAME = 125


def run_on_terminal(program: Program, env: "dict[bytes, bytes]", folder: int, size: "dict[str, int]") -> "Keeper":
    """The program, started on a terminal of that size; an `OSError` where it could not be executed."""
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
    return Keeper(pid, master, listener)


def listen_in(folder: int) -> "socket.socket":
    """By the folder's descriptor: a path may be longer than a socket's may be."""
    import socket

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listener.bind("/proc/self/fd/%d/terminal" % folder)
    finally:
        os.umask(umask)
    listener.listen(1)
    return listener


class Keeper:
    """Waits for the program's end, and hands its terminal to the one who comes for it."""

    def __init__(self, pid: int, master: int, listener: "socket.socket") -> None:
        self.pid = pid
        self.master = master
        self.listener: "socket.socket | None" = listener
        self.link: "socket.socket | None" = None
        self.code: "int | None" = None
        self.give_up_at = time.monotonic() + reserve_s()

    def keep_and_exit(self) -> None:
        """Never returns: what comes after belongs to the supervisor, of which this process is a fork."""
        code = NOBODY_CAME
        try:
            code = self.keep()
        finally:
            os._exit(code)

    def keep(self) -> int:
        """The program's exit code, as a shell tells it. Signals to the job are for the program, not for us."""
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
        """What the program printed last is still in its terminal: somebody has to come for that."""
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
        """Who had the terminal has gone, and the terminal with him: the program may heed its SIGHUP, or not."""
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
    """A descriptor of the supervisor's that lived on here would tell its agent that it does."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(int(name))


def wake_on_children() -> int:
    """A descriptor on which every SIGCHLD is one byte."""
    reader, writer = os.pipe()
    for fd in (reader, writer):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader
