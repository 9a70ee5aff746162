"""Programs of this machine that have the terminal for a while."""

import signal
import subprocess


def wait_for(child: "subprocess.Popen[bytes]") -> int:
    """Its return code. Ctrl-C is for the child meanwhile: `less` and `python` go on after it, and so do we."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = child.wait()
    except BaseException:  # another signal: SIGINT stays ignored, as in all cleanup
        child.kill()
        child.wait()
        raise
    signal.signal(signal.SIGINT, before)
    return code
