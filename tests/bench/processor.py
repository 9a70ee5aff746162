"""Processor time of everything that this process starts: what stays behind it, and the lab's nodes, too."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Counted by a cgroup of our own."""

    folder: Path

    def spent_s(self) -> float:
        """Since it was made, without our own."""
        for line in (self.folder / "cpu.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "usage_usec":
                return int(value) / 1e6 - time.process_time()
        raise ValueError(f"{self.folder}/cpu.stat has no usage_usec")


@contextmanager
def processor_time() -> Iterator[ProcessorTime | None]:
    """This process moves into a cgroup (version 2) of its own, and back at the end; None where it may not."""
    above = _own_cgroup()
    folder = None if above is None else above / f"clbalance-bench-{os.getpid()}"
    if above is None or folder is None or not _enter(folder):
        yield None
        return
    try:
        yield ProcessorTime(folder)
    finally:
        with suppress(OSError):  # something that is not ours may still end in it
            (above / "cgroup.procs").write_text(f"{os.getpid()}\n")
            folder.rmdir()


def _own_cgroup() -> Path | None:
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    mount = next((Path(words[1]) for words in mounts if words[2] == "cgroup2"), None)
    own = (
        line.partition("0::/")[2] for line in Path("/proc/self/cgroup").read_text().splitlines() if line[:3] == "0::"
    )
    return None if mount is None else mount / next(own, "")


def _enter(folder: Path) -> bool:
    try:
        folder.mkdir()
        (folder / "cgroup.procs").write_text(f"{os.getpid()}\n")
        return (folder / "cpu.stat").exists()
    except OSError:
        with suppress(OSError):
            folder.rmdir()
        return False
