"""SIGINT, SIGTERM and SIGHUP become one exception in the main thread, once; what cleans up is not disturbed again."""

import os
import select
import signal
from types import FrameType

from clbalance.errors import Interrupted

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def raise_once() -> None:
    """Turn the next of these signals into `Interrupted`, and ignore them from then on: cleaning up has its own end.

    One that was ignored when we were started (nohup) stays ignored.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        del frame
        ignore()
        for fd in (1, 2):
            _let_go_of(fd)
        raise Interrupted(signum)

    for one in STOPPING:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, stop)


def ignore() -> None:
    """Be stopped by none of these any more."""
    for one in STOPPING:
        signal.signal(one, signal.SIG_IGN)


def _let_go_of(fd: int) -> None:
    """Where nobody reads now, write to nobody from now on: a full pipe would keep us from ending."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if not poll.poll(0):
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), fd)
