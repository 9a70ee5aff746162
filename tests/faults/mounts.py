"""Node folders on file systems of their own: small, full, or for reading only. For root, in a node's own namespace."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import LabNode


@contextmanager
def mounted(lab: Lab, node: LabNode, options: str) -> Iterator[Path]:
    """A tmpfs as that node's folder until the node is killed at the end; its path as seen from here."""
    with _mount(lab, node, "-t", "tmpfs", "-o", f"mode=1777,{options}", "small", str(node.folder.var)) as pid:
        yield Path(f"/proc/{pid}/root{node.folder.var}")


@contextmanager
def bound(lab: Lab, node: LabNode, source: Path, target: Path) -> Iterator[None]:
    """That file in the place of one of the system's, on this node alone, until the node is killed at the end."""
    with _mount(lab, node, "--bind", str(source), str(target)):
        yield


@contextmanager
def _mount(lab: Lab, node: LabNode, *words: str) -> Iterator[int]:
    if os.getuid() != 0 or lab.record.isolation.value != "namespaces":
        pytest.skip("mounts on a node need root and namespaces")
    init = node.init()
    assert init is not None
    _inside(init.pid, "mount", *words)
    try:
        yield init.pid
    finally:
        node.kill()  # and the mount with it; the next test finds the node booted


def make_read_only(node: LabNode) -> None:
    """What is mounted as its folder takes no more writes."""
    init = node.init()
    assert init is not None
    _inside(init.pid, "mount", "-o", "remount,ro", str(node.folder.var))


def fill(folder: Path, leave: int = 0) -> Path:
    """A file that takes all the room there is, but for so many bytes."""
    room = os.statvfs(folder)
    path = folder / "filler"
    with path.open("wb") as file:
        file.truncate(0)
        os.posix_fallocate(file.fileno(), 0, max(1, room.f_bavail * room.f_frsize - leave))
    return path


def _inside(pid: int, *command: str) -> None:
    subprocess.run(["nsenter", "-t", str(pid), "-m", "--", *command], check=True)
