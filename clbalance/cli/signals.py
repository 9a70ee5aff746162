"""SIGINT, SIGTERM and SIGHUP become one exception in the main thread, once; what cleans up is not disturbed again."""

import os
import select
import signal
import sys
from types import FrameType

from clbalance.errors import Interrupted

_GIVE_UP_AFTER_S = 2.5  # longer than ending a job on its nodes may take
_RAISE_AGAIN_S = 0.01
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def raise_once() -> None:
    """Turn the next of these signals into `Interrupted`, and ignore them from then on: cleaning up has its own end.

    One that was ignored when we were started (nohup) stays ignored.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        del frame
        ignore()
        _let_go_of_full_outputs()
        signal.signal(signal.SIGALRM, lambda *_: give_up(signum))
        signal.setitimer(signal.ITIMER_REAL, _GIVE_UP_AFTER_S)
        raise Interrupted(signum)

    def give_up(signum: int) -> None:
        """An output that has filled up since then holds us in a write: let go of it, and of what we were doing."""
        _let_go_of_full_outputs()
        raise Interrupted(signum)

    sys.unraisablehook = _raise_again
    for one in STOPPING:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, stop)


def _raise_again(swallowed: "sys.UnraisableHookArgs") -> None:
    """Raised where Python can only ignore it, as in a weak reference's callback while it imports: once more, soon."""
    if isinstance(swallowed.exc_value, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, _RAISE_AGAIN_S)
    else:
        sys.__unraisablehook__(swallowed)


def ignore() -> None:
    """Be stopped by none of these any more."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for one in STOPPING:
        signal.signal(one, signal.SIG_IGN)


def _let_go_of_full_outputs() -> None:
    for fd in (1, 2):
        _let_go_of(fd)


def _let_go_of(fd: int) -> None:
    """Where nobody reads now, write to nobody from now on: a full pipe would keep us from ending."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if not poll.poll(0):
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), fd)
