"""Standard input that arrives while the job runs: a FIFO in the job's folder (docs/design/input.md).

The supervisor keeps the FIFO open for writing until the input is complete. So the job sees the end of its input only
then, never because an agent died.
"""

import errno
import os
import select

from clbalance.node.stdlib import suppress

NAME = "stdin"
F_SETPIPE_SZ = 1031  # fcntl has the name since Python 3.10
PIPE_BYTES = 256 << 10  # fewer turns between the agent and the program
FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def make_fifo(folder: int) -> int:
    """Make the FIFO and open it in both directions: while that is open, no other open(2) of the FIFO waits."""
    os.mkfifo(NAME, 0o600, dir_fd=folder)
    return os.open(NAME, os.O_RDWR | FLAGS, dir_fd=folder)


def open_writer(folder: int) -> "int | None":
    """Open the FIFO for writing. None if the job has closed its standard input, or removed the FIFO."""
    import fcntl

    try:
        fd = os.open(NAME, os.O_WRONLY | FLAGS, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENOENT):
            raise
        return None
    with suppress(OSError):  # there is a limit for all pipes of a user
        fcntl.fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES)
    return fd


class InputPipe:
    """The agent's end of the FIFO. It never blocks, so a job that does not read delays nothing."""

    def __init__(self, fd: "int | None") -> None:
        self.fd = fd
        self.unwritten = bytearray()
        self.taken = 0
        self.is_all = False  # no more will be added

    @property
    def over(self) -> bool:
        """Whether the job needs no more: it has all of the input, or reads none any more."""
        return self.fd is None or (self.is_all and not self.unwritten)

    def add(self, data: bytes, complete: bool) -> None:
        self.unwritten += data
        self.is_all = self.is_all or complete

    def write(self) -> None:
        """Write as much as the FIFO takes now. Closes it if nobody reads it."""
        try:
            while self.fd is not None and self.unwritten:
                with memoryview(self.unwritten) as rest:
                    written = os.write(self.fd, rest)
                del self.unwritten[:written]
                self.taken += written
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.close()
        if self.fd is not None and has_no_reader(self.fd):
            self.close()

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def has_no_reader(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))
