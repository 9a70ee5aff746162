"""Output without end costs the client time, not memory: while it is shown, and when it is read afterwards.

64 MiB by default, 1 GiB with CLBALANCE_SOAK=50.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.command import Command, ended

from .soak import trials
from .test_node_faults import started

pytestmark = pytest.mark.soak

MIB = 1 << 20
GROWS_BY_LESS_THAN = 64 * MIB


def peak_bytes(child: "subprocess.Popen[bytes]") -> int:
    """The most memory that it has had at once so far. Of itself: what `wait4` tells may be the forked test's."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def read(child: "subprocess.Popen[bytes]", size: int) -> None:
    """Take so many bytes from it, and forget them."""
    assert child.stdout is not None
    while size > 0:
        piece = os.read(child.stdout.fileno(), min(size, MIB))
        assert piece, f"{size} bytes are missing"
        size -= len(piece)


def peak_after(clbalance: Command, verb: str, size: int) -> tuple[int, float]:
    """The peak of a client that has passed on so much, and the seconds that it took; its job is still there then."""
    text = f"head -c {size} /dev/zero; sleep 300"
    if verb == "run":
        child = clbalance.start("run", "-q", "-w", "node1", "-c", text)
    else:
        job = started(clbalance, "-w", "node1", text=text)
        child = clbalance.start("attach", "-q", str(job))
    began = time.monotonic()
    read(child, size)
    seconds = time.monotonic() - began
    peak = peak_bytes(child)
    child.send_signal(signal.SIGINT)
    ended(child)
    clbalance("cancel", "--all")
    return peak, seconds


@pytest.mark.parametrize("verb", ["run", "attach"])
def test_memory_does_not_grow_with_what_a_job_prints(clbalance: Command, verb: str) -> None:
    size = trials(few=64, full=1024) * MIB
    little, _ = peak_after(clbalance, verb, 1)
    much, seconds = peak_after(clbalance, verb, size)
    print(f"{verb}: {size // MIB} MiB in {seconds:.1f} s, peak {little / MIB:.1f} -> {much / MIB:.1f} MiB")
    assert much - little < GROWS_BY_LESS_THAN
