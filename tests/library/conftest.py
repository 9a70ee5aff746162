"""The command at the door of a lab, and programs that use the library there."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import TIMEOUT_S, Command
from tests.cli.conftest import alone, clbalance, folder

__all__ = ["alone", "clbalance", "folder", "program"]

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def program(clbalance: Command) -> Program:
    """Runs a Python file with these arguments, as a user of the lab does."""

    def run(path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(path), *arguments],
            env=dict(clbalance.env),
            cwd=clbalance.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    return run
