"""Processor time of the agent on its node, against that of a Python that does nothing (docs/design/speed.md)."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clbalance.engine.agent.bootstrap import bootstrap
from clbalance.node import agent_source
from tests.node.agent_client import NONCE, AgentClient

from .figure import Figure, Spread
from .question import Measurement
from .site import Site, WrongRunError

PYTHON = os.fsencode(Path(sys.executable).resolve())
LIMITS = {"hello": 3.0, "run": 7.0}
"""Of a session's processor time, in times of that of a bare `python3 -I -S`."""


def agent(site: Site) -> Iterator[Figure]:
    """Whole sessions: one that says hello and ends, one that runs `true`; with all processes that they start."""
    spent: dict[str, list[float]] = {"bare": [], **{kind: [] for kind in LIMITS}}
    for pair in range(site.rounds + 1):
        for kind, seconds in spent.items():
            one = _measured_apart(kind)
            if pair:
                seconds.append(one)
    bare = Spread.of(spent.pop("bare"))
    for kind, seconds in spent.items():
        ours = Spread.of(seconds)
        yield Figure(
            name=f"agent: {kind}",
            value=ours.median / bare.median,
            unit="ratio",
            limit=LIMITS[kind],
            ours_s=ours,
            theirs_s=bare,
            note=f"processor time; {(ours.median - bare.median) * 1000:.1f} ms above a bare python3",
        )


def _measured_apart(kind: str) -> float:
    """In a process of its own, which adopts the processes that the session leaves behind, and waits for them."""
    done = subprocess.run([sys.executable, "-m", __name__, kind], capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrongRunError(f"agent: {kind}: {done.stderr[-500:]}")
    return float(done.stdout)


def _session(kind: str, folder: Path) -> None:
    text = b"exec python3 -I -S /dev/fd/3 3<<'X'\npass\nX\n" if kind == "bare" else bootstrap(NONCE, agent_source())
    with AgentClient(folder, command=["sh", "-s"]) as client:
        client.send(text.replace(b"exec python3", b"exec " + PYTHON, 1))
        if kind != "bare":
            client.until("hello")
        if kind == "run":
            ran = client.run(argv=["true"])
            client.ask("forget", ran["job"])
            client.ask_node("ping")


def _spent_s(kind: str) -> float:
    import ctypes

    adopts_orphans = 36  # PR_SET_CHILD_SUBREAPER
    ctypes.CDLL(None).prctl(adopts_orphans, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        _session(kind, Path(folder))
        while True:
            try:
                os.wait()
            except ChildProcessError:
                break
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


MEASUREMENTS = (
    Measurement("agent", "the agent's processor time on its node, in times of a Python that does nothing", agent),
)


if __name__ == "__main__":
    sys.stdout.write(f"{_spent_s(sys.argv[1])}\n")
