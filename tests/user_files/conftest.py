"""Folders whose owner and mode the test decides, whatever the folders above them are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

STRANGER = 65533


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Only we may write to it."""
    made = tmp_path / "own"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """As /tmp: everybody may write to it, and remove what is his own."""
    made = tmp_path / "public"
    made.mkdir()
    made.chmod(0o1777)
    return made


@pytest.fixture
def stranger() -> int:
    """A uid that is neither ours nor root's."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    return STRANGER
