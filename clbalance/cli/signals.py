"""SIGINT, SIGTERM and SIGHUP become one exception in the main thread, once; what cleans up is not disturbed again."""

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
        for one in STOPPING:
            signal.signal(one, signal.SIG_IGN)
        raise Interrupted(signum)

    for one in STOPPING:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, stop)
