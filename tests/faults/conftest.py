"""The command at the door of a lab whose nodes are about to go wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import THIS_TREE, Command


@pytest.fixture
def clbalance(lab: Lab, lab_env: dict[str, str], tmp_path: Path) -> Iterator[Command]:
    """`clbalance` with `lab` as its cluster; the nodes see its working folder too."""
    folder = tmp_path / "work"
    folder.mkdir()
    command = Command(env={**lab_env, **THIS_TREE}, folder=folder)
    with command.opened:
        yield command
