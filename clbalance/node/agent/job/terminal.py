"""A job on a terminal: its first process makes a pseudo-terminal, runs the program on it, and keeps it for a relay.

The relay (node/relay.py) runs in an ssh session of its own. It connects to the socket `terminal` in the job's folder
and receives the other side of the terminal. The terminal is kept as long as the relay keeps the connection.
"""

import fcntl
import os
import select
import socket
import struct
import termios
import time

from clbalance.node.agent.job.program import Program
from clbalance.node.agent.lease.admission import reserve_s
from clbalance.node.agent.protocol import HANG_UP_PATIENCE_S
from clbalance.node.stdlib import signal, suppress

UNTOUCHED = (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD)
NOBODY_CAME = 125


def run_on_terminal(
    program: Program, env: "dict[bytes, bytes]", folder: int, size: "dict[str, int]"
) -> "TerminalKeeper":
    """Start the program on a terminal of that size. `OSError` if it cannot be executed."""
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
                with suppress(OSError, ValueError):
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
        self.link = listener.accept()[0]
        with suppress(BrokenPipeError, ConnectionResetError):
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
            return 128 + int(signal.SIGHUP)
        os.write(2, b"nobody came for the terminal of this job within %g s\n" % reserve_s())
        return NOBODY_CAME if self.code is None else self.code


def leave_all_but(keep: "set[int]") -> None:
    """Close other descriptors: an open copy of the supervisor's would tell its agent that the supervisor lives."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with suppress(OSError):  # the descriptor of the listing itself
                os.close(int(name))


def wake_on_children() -> int:
    """A descriptor that delivers one byte for each SIGCHLD."""
    reader, writer = os.pipe()
    for fd in (reader, writer):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader
