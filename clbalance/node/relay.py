"""The far end of `run --pty`: from the terminal that sshd gave this process to the one that the job runs on.

Started as `python3 -I -S -c ... KEY.CLAIM` (engine/agent/job_messages.py). It finds the job's folder, is given the
job's
terminal by the process that keeps it (node/agent/job/fork.py), and passes keys, output and window sizes on, until
either side has gone. Standard library of Python 3.6.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
import stat
import struct
import sys
import termios
import time
import tty

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
AHEAD_BYTES = 65536  # typed, and not yet taken by the program
LAST_WORDS_S = 2.0  # for what is left in the terminal when the program has ended


def open_job(job: str) -> int:
    """The job's folder: below one of this user's own homes on this node, reached without links."""
    base = os.environb.get(b"CLBALANCE_NODE_DIR")
    own = "clbalance-%d" % os.geteuid()
    for top in [base] if base else [b"/var/lib/clbalance", b"/var/tmp"]:
        for home in [own] + ["%s-%d" % (own, n) for n in range(1, 10)]:
            with contextlib.suppress(OSError):
                return descend(os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), [home, "jobs", job])
    sys.exit("the folder of job %s is not on this node" % job)


def descend(folder: int, names: "list[str]") -> int:
    """The innermost folder; an `OSError` where one on the way is a link, missing, or open to others."""
    for name in names:
        inner = os.open(name, FOLDER, dir_fd=folder)
        os.close(folder)
        folder = inner
        if os.fstat(folder).st_uid != os.geteuid() or stat.S_IMODE(os.fstat(folder).st_mode) & 0o022:
            os.close(folder)
            raise PermissionError
    return folder


def fetch_terminal(folder: int) -> "tuple[int, socket.socket]":
    """The job's terminal, and the connection on which its keeper sees whether we are still here."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect("/proc/self/fd/%d/terminal" % folder)
        _, extra, _, _ = link.recvmsg(1, socket.CMSG_SPACE(struct.calcsize("i")))
        return struct.unpack("i", extra[0][2][: struct.calcsize("i")])[0], link
    except (OSError, IndexError) as error:
        sys.exit("the job's terminal cannot be had: %s" % error)


class Relay:
    """Between descriptor 0 and 1 on this side, and the job's terminal."""

    def __init__(self, terminal: int, link: "socket.socket") -> None:
        self.terminal = terminal
        self.link = link
        self.typed = b""
        self.silent = False  # nobody has the job's side open any more

    def resize(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))

    def run(self) -> None:
        os.set_blocking(self.terminal, False)
        signal.signal(signal.SIGWINCH, self.resize)
        self.resize()
        while True:
            for fd in self.ready():
                if fd == self.link.fileno():
                    self.last_words()
                    return
                if fd == 0 and not self.take_keys():
                    return
                if fd == self.terminal:
                    self.give_keys()
                    self.show()

    def ready(self) -> "list[int]":
        poll = select.poll()
        poll.register(self.link, select.POLLIN)
        if len(self.typed) < AHEAD_BYTES:
            poll.register(0, select.POLLIN)
        if not self.silent:
            poll.register(self.terminal, select.POLLIN | (select.POLLOUT if self.typed else 0))
        found = [fd for fd, _ in poll.poll()]
        return sorted(found, key=lambda fd: fd == self.link.fileno())

    def take_keys(self) -> bool:
        try:
            keys = os.read(0, 4096)
        except OSError:  # EIO: our terminal has gone
            return False
        self.typed += keys
        return bool(keys)

    def give_keys(self) -> None:
        with contextlib.suppress(OSError):  # full for now, or nobody reads there any more
            if self.typed:
                self.typed = self.typed[os.write(self.terminal, self.typed) :]

    def show(self) -> bool:
        try:
            piece = os.read(self.terminal, 65536)
        except BlockingIOError:
            return False
        except OSError:  # EIO
            self.silent = True
            return False
        while piece:
            piece = piece[os.write(1, piece) :]
        return True

    def last_words(self) -> None:
        """The job is over: what is left of its output."""
        until = time.monotonic() + LAST_WORDS_S
        while self.show() and time.monotonic() < until:
            pass


def main(job: str) -> None:
    """Until the job or the terminal has gone."""
    terminal, link = fetch_terminal(open_job(job))
    try:
        before = termios.tcgetattr(0)
    except termios.error:
        sys.exit("this login was given no terminal (`PermitTTY` in sshd_config)")
    tty.setraw(0, termios.TCSANOW)
    try:
        Relay(terminal, link).run()
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, before)


if __name__ == "__main__":
    main(sys.argv[1])
