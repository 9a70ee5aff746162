"""The node's side of `run --pty`: connects the terminal that sshd gave this process with the job's terminal.

Started as `python3 -I -S -c ... KEY.CLAIM` (engine/agent/job_messages.py). It finds the job's folder and receives the
job's terminal from the process that keeps it (node/agent/job/fork.py). It passes keys, output and window sizes on until
either side is gone. Standard library of Python 3.6.
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
AHEAD_BYTES = 65536  # of keys that the program has not read yet
REST_WITHIN_S = 2.0  # for the output that is left in the terminal when the program has ended


def open_job(job: str) -> int:
    """Open the job's folder in one of this user's node folders, following no link; exit if there is none."""
    base = os.environb.get(b"CLBALANCE_NODE_DIR")
    own = "clbalance-%d" % os.geteuid()
    for top in [base] if base else [b"/var/lib/clbalance", b"/var/tmp"]:
        for home in [own] + ["%s-%d" % (own, n) for n in range(1, 10)]:
            with contextlib.suppress(OSError):
                return descend(os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), [home, "jobs", job])
    sys.exit("the folder of job %s is not on this node" % job)


def descend(folder: int, names: "list[str]") -> int:
    """Open the innermost folder. `OSError` if a folder is missing, a link, not ours or writable by others."""
    for name in names:
        inner = os.open(name, FOLDER, dir_fd=folder)
        os.close(folder)
        folder = inner
        if os.fstat(folder).st_uid != os.geteuid() or stat.S_IMODE(os.fstat(folder).st_mode) & 0o022:
            os.close(folder)
            raise PermissionError
    return folder


def fetch_terminal(folder: int) -> "tuple[int, socket.socket]":
    """The job's terminal, and the connection that shows its keeper that we are still here. Exit if it fails."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.connect("/proc/self/fd/%d/terminal" % folder)
        _, extra, _, _ = link.recvmsg(1, socket.CMSG_SPACE(struct.calcsize("i")))
        return struct.unpack("i", extra[0][2][: struct.calcsize("i")])[0], link
    except (OSError, IndexError) as error:
        sys.exit("the job's terminal cannot be had: %s" % error)


class Relay:
    """Copies between descriptors 0 and 1 of this process and the job's terminal."""

    def __init__(self, terminal: int, link: "socket.socket") -> None:
        self.terminal = terminal
        self.link = link
        self.typed = b""
        self.silent = False  # the job's side of the terminal is closed

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
                    self.show_rest()
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
        except OSError:  # EIO: our terminal is gone
            return False
        self.typed += keys
        return bool(keys)

    def give_keys(self) -> None:
        with contextlib.suppress(OSError):  # full, or closed on the other side
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

    def show_rest(self) -> None:
        """The job has ended: pass the rest of its output on."""
        until = time.monotonic() + REST_WITHIN_S
        while self.show() and time.monotonic() < until:
            pass


def main(job: str) -> None:
    """Relay until the job or the terminal is gone."""
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
