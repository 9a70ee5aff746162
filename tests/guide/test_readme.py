"""Every command that README.md shows works, in the order in which a reader types them, on a lab of the reader's own."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.lab.cluster import take_down
from tests.leftovers import marked

from .pages import PACKAGE, README, type_all


@pytest.fixture
def own_lab(openssh: None, tmp_path: Path) -> Iterator[Path]:
    """Where the reader's own lab goes; whatever becomes of it is taken down."""
    directory = tmp_path / "lab"
    yield directory
    take_down(directory)


@pytest.mark.sshd
@pytest.mark.minute
@pytest.mark.timeout(900)
def test_every_command_of_the_readme_works(own_lab: Path, tmp_path: Path) -> None:
    reader = tmp_path / "reader"
    reader.mkdir()
    env = {
        "HOME": str(reader),
        "LANG": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": PACKAGE,
        **marked(),
        "CLBALANCE_LAB_DIR": str(own_lab),
        "CLBALANCE_STATE_DIR": str(tmp_path / "state"),
    }
    type_all(README, "", reader, env)


def test_the_readme_has_at_most_200_lines() -> None:
    assert len(README.read_text().splitlines()) <= 200
