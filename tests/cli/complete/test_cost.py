"""A press of the Tab key takes at most half the processor time of `clush --version`, and imports nothing heavy."""

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.cli.test_startup import packages

PAIRS = 11


@pytest.mark.parametrize("words", [("",), ("load", "-"), ("load", "-w", ""), ("cancel", "")], ids=" ".join)
@pytest.mark.usefixtures("state")
def test_it_takes_half_of_what_clush_takes_to_tell_its_version(alone: Command, words: tuple[str, ...]) -> None:
    clush = shutil.which("clush", path=alone.env["PATH"])
    assert clush is not None
    ours = [str(Path(sys.executable).parent / "clbalance"), *words]
    env = {**alone.env, "_CLBALANCE_COMPLETE": "words"}
    cpu_s(ours, env)  # makes the table
    pairs = [(cpu_s(ours, env), cpu_s([clush, "--version"], alone.env)) for _ in range(PAIRS)]
    assert statistics.median(a / b for a, b in pairs) <= 0.5, pairs


def cpu_s(argv: Sequence[str], env: Mapping[str, str]) -> float:
    """The processor time of a call."""
    child = subprocess.Popen(argv, env=dict(env), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_utime + usage.ru_stime


@pytest.mark.usefixtures("state")
def test_it_imports_no_parser_of_options_and_nothing_that_reaches_nodes(alone: Command) -> None:
    asks = Command(env={**alone.env, "_CLBALANCE_COMPLETE": "words"}, folder=alone.folder)
    packages(asks, "lo")  # makes the table
    heavy = {"typer", "ClusterShell", "rich", "msgspec", "psutil", "dataclasses", "inspect", "subprocess"}
    assert packages(asks, "load", "-w", "").isdisjoint(heavy)
    assert packages(asks, "load", "--").isdisjoint({*heavy, "sqlite3"})
