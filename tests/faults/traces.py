"""Finding what a call left behind, by a mark in its processes' environment; ssh passes no environment on."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

CLIENT = "CLB_STORM_CLIENT"
JOB = "CLB_STORM_JOB"


def marked(name: str, mark: str) -> list[int]:
    """The living processes, on this machine or any node of a lab on it, that have `name=mark` in their environment."""
    wanted = f"{name}={mark}".encode()
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if wanted in _entries(process / "environ")]


def command_lines(pids: Iterable[int]) -> list[str]:
    """What they are, for the message of a failed test."""
    return [f"{pid}: {b' '.join(_entries(Path(f'/proc/{pid}/cmdline'))).decode(errors='replace')}" for pid in pids]


def _entries(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:  # gone meanwhile
        return []


def comes_true(holds: Callable[[], object], within_s: float) -> bool:
    """Whether it does in time."""
    until = time.monotonic() + within_s
    while True:
        is_last = time.monotonic() > until  # asked first: the last look is one after the limit
        if holds():
            return True
        if is_last:
            return False
        time.sleep(0.01)
