"""The command at the door of a lab that several controllers and users share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import THIS_TREE, Command


@pytest.fixture
def clbalance(lab: Lab, lab_env: dict[str, str], tmp_path: Path) -> Iterator[Command]:
    """`clbalance` with `lab` as its cluster; `-l` makes it another user's."""
    command = Command(env={**lab_env, **THIS_TREE}, folder=tmp_path)
    with command.opened:
        yield command


@pytest.fixture
def shared_lab(lab: Lab) -> Lab:
    """`lab`, where alice and bob can log in as well; the caller is root there."""
    if os.getuid() != 0 or not lab.record.spec.users:
        pytest.skip("several users of one lab need root and namespaces")
    return lab
