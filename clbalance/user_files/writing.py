"""Writes all bytes to an open file, with a time limit for full pipes, FIFOs and terminals."""

import os
import select
import stat


class StalledError(OSError):
    """A pipe, FIFO or terminal was full for too long."""


def write_all(fd: int, data: bytes, *, within_s: float | None) -> None:
    """Write all of `data`, or raise `OSError`.

    `within_s`: how long a full FIFO, pipe or terminal may block; None: for ever.
    """
    is_regular = stat.S_ISREG(os.fstat(fd).st_mode)
    # A descriptor shared with others must not be made non-blocking. A pipe that is not full takes PIPE_BUF bytes.
    most = len(data) if is_regular or not os.get_blocking(fd) else select.PIPE_BUF
    left = memoryview(data)
    while left:
        if not is_regular:
            _wait(fd, within_s)
        try:
            left = left[os.write(fd, left[:most]) :]
        except BlockingIOError:  # another writer was quicker
            continue


def _wait(fd: int, within_s: float | None) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if not poll.poll(None if within_s is None else within_s * 1000):
        raise StalledError(0, f"its reader has taken nothing for {within_s:g} s")
