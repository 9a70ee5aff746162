"""Turns the first SIGINT, SIGTERM or SIGHUP into an exception in the main thread; later ones do not disturb cleanup."""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Collection
from types import FrameType

from clbalance.errors import Interrupted

_GIVE_UP_AFTER_S = 2.5  # more than the time allowed for ending a job on its nodes
_RAISE_AGAIN_S = 0.01
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heeded() -> tuple[signal.Signals, ...]:
    """Those of these signals that are not ignored."""
    return tuple(one for one in STOPPING if signal.getsignal(one) is not signal.SIG_IGN)


def raise_once(heed: Collection[signal.Signals] | None = None) -> None:
    """Turn the next of these signals into `Interrupted`, and ignore them from then on: cleanup has its own time limit.

    A signal that was ignored at start (nohup) stays ignored. `heed`: for one that goes on after such a signal, those
    that were `heeded` at first.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        del frame
        ignore()
        _discard_full_outputs()
        signal.signal(signal.SIGALRM, lambda *_: give_up(signum))
        signal.setitimer(signal.ITIMER_REAL, _GIVE_UP_AFTER_S)
        raise Interrupted(signum)

    def give_up(signum: int) -> None:
        """A write to an output that filled up meanwhile blocks us: discard that output, and interrupt the cleanup."""
        _discard_full_outputs()
        raise Interrupted(signum)

    sys.unraisablehook = _raise_again
    signal.setitimer(signal.ITIMER_REAL, 0)
    for one in heeded() if heed is None else heed:
        signal.signal(one, stop)


def _raise_again(swallowed: "sys.UnraisableHookArgs") -> None:
    """Repeat an `Interrupted` that Python had to ignore, such as in a weak reference's callback during an import."""
    if isinstance(swallowed.exc_value, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, _RAISE_AGAIN_S)
    else:
        sys.__unraisablehook__(swallowed)


def ignore() -> None:
    """Ignore all of these signals from now on."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for one in STOPPING:
        signal.signal(one, signal.SIG_IGN)


def ignore_at_the_end() -> None:
    """The program has done its work: a signal that comes now changes neither its exit code nor what it shows."""
    with contextlib.suppress(Interrupted):
        ignore()  # the first signal may still come before all of them are ignored; it ignores the others itself
    ignore()
    sys.unraisablehook = sys.__unraisablehook__  # or an alarm could be set when nobody handles it any more


def _discard_full_outputs() -> None:
    for fd in (1, 2):
        _discard_if_full(fd)


def _discard_if_full(fd: int) -> None:
    """Send later writes to /dev/null if a write would block now: a full pipe would keep us from ending."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if not poll.poll(0):
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), fd)
