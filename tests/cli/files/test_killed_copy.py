"""Whoever is killed at whatever moment of a copy, each file is old or whole, and the next copy completes all."""

import contextlib
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, eventually
from tests.cli.files.victims import is_file_program, victims
from tests.faults.soak import trials

from .trees import make_tree, tree_at, unfinished

_ROUNDS = trials(4, 50)
_LARGE = 6 << 20
_LONGEST_S = 0.4  # of an undisturbed copy on an idle machine


def version(folder: Path, letter: bytes) -> Path:
    files = {f"sub{number % 5}/{number}": letter * (1000 + number) for number in range(200)}
    return make_tree(folder, {**files, "large": letter * _LARGE, "larger": letter * (2 * _LARGE)})


@pytest.mark.soak
@pytest.mark.parametrize("who", ["client", "ssh", "program"])
def test_each_file_is_old_or_whole(lab: Lab, clbalance: Command, folder: Path, who: str) -> None:
    rng = random.Random(who)
    old, new = version(folder / "old", b"o"), version(folder / "new", b"n")
    contents = [{name: facts[0] for name, facts in tree_at(tree).items()} for tree in (old, new)]
    there = lab.node("node1").folder.home("root") / "app"
    killed = 0
    for _ in range(_ROUNDS):
        shutil.rmtree(there, ignore_errors=True)
        shutil.copytree(old, there)
        child = clbalance.start("copy", "-q", "-w", "node1", "new/", "app")
        eventually(lambda pid=child.pid: victims(lab, pid, who))  # type: ignore[misc]  # of this round
        end_at = time.monotonic() + rng.uniform(0.0, _LONGEST_S)
        while time.monotonic() < end_at:
            time.sleep(0.005)
        for pid in victims(lab, child.pid, who):
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.kill(pid, signal.SIGKILL)
                killed += 1
        ended(child)
        eventually(lambda: not any(map(is_file_program, lab.node("node1").processes())))
        found = {name: facts[0] for name, facts in tree_at(there).items() if not is_unfinished(name)}
        assert found.keys() == contents[0].keys()
        torn = [name for name, content in found.items() if content not in {contents[0][name], contents[1][name]}]
        assert not torn
        assert clbalance("copy", "-q", "-w", "node1", "new/", "app").rc == 0
        assert {name: facts[0] for name, facts in tree_at(there).items()} == contents[1]
        assert not unfinished(there)
    assert killed


def is_unfinished(name: bytes) -> bool:
    return os.path.basename(name).startswith(b".clbalance-")
