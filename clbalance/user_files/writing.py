"""Bytes to an open file, all of them; to what may be full, no longer than is wanted."""

import os
import select
import stat


class StalledError(OSError):
    """It was full, and took nothing for too long."""


def write_all(fd: int, data: bytes, *, within_s: float | None) -> None:
    """Or `OSError`. `within_s`: how long a full FIFO, pipe or terminal may take nothing; None: for ever."""
    is_regular = stat.S_ISREG(os.fstat(fd).st_mode)
    # A descriptor that others share may not be made non-blocking. A pipe that is not full takes so much at once.
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
