"""The command at the door of a lab."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab

from .command import THIS_TREE, Command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command is called from; the lab's nodes see it too, as a shared home would be seen."""
    made = tmp_path / "work"
    made.mkdir()
    return made


@pytest.fixture
def clbalance(lab: Lab, lab_env: dict[str, str], folder: Path) -> Iterator[Command]:
    """`clbalance` with `lab` as its cluster."""
    command = Command(env={**lab_env, **THIS_TREE}, folder=folder)
    with command.opened:
        yield command


@pytest.fixture
def alone(tmp_path: Path, folder: Path) -> Iterator[Command]:
    """`clbalance` where no cluster is configured."""
    home = tmp_path / "lonely"
    home.mkdir()
    empty = tmp_path / "no-clustershell"
    empty.mkdir()
    env = {
        **THIS_TREE,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "CLUSTERSHELL_CFGDIR": str(empty),
        "CLBALANCE_STATE_DIR": str(tmp_path / "lonely-state"),
        "CLBALANCE_NODE_DIR": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }
    command = Command(env=env, folder=folder)
    with command.opened:
        yield command
