"""Programs of this machine that have the terminal for a while."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator


@contextlib.contextmanager
def ctrl_c_is_for_children() -> Iterator[None]:
    """Leave Ctrl-C to the programs that are started in this block: `less` and `python` go on after it, and so do we.

    A handler that does nothing, for they would inherit that SIGINT is ignored. Where it is, as in the background, they
    do.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    except OSError:  # no program was started
        signal.signal(signal.SIGINT, before)
        raise
    signal.signal(signal.SIGINT, before)  # not after another signal: SIGINT has no effect in cleanup


def wait_for(child: "subprocess.Popen[bytes]") -> int:
    """Its return code. Ctrl-C is for the child meanwhile."""
    try:
        with ctrl_c_is_for_children():
            return child.wait()
    except BaseException:
        child.kill()
        child.wait()
        raise
