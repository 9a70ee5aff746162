"""Whoever is killed at whatever moment of a fetch, each file here is old or whole, and the next fetch completes all."""

import contextlib
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, eventually, local_ssh
from tests.cli.files.victims import is_file_program, victims
from tests.faults.soak import trials

from .trees import make_tree, tree_at, unfinished

_ROUNDS = trials(4, 50)
_LARGE = 6 << 20
_LONGEST_S = 0.5  # of an undisturbed fetch on an idle machine


def version(folder: Path, letter: bytes) -> Path:
    files = {f"sub{number % 5}/{number}": letter * (1000 + number) for number in range(200)}
    return make_tree(folder, {**files, "large": letter * _LARGE, "larger": letter * (2 * _LARGE)})


def contents(folder: Path) -> dict[bytes, bytes | None]:
    """Of each file; of a folder, None. What is not whole has a name of its own and does not count."""
    found = {name: facts[0] for name, facts in tree_at(folder).items()}
    return {name: content for name, content in found.items() if not os.path.basename(name).startswith(b".clbalance-")}


@pytest.mark.soak
@pytest.mark.parametrize("who", ["client", "ssh", "program"])
def test_each_file_is_old_or_whole(lab: Lab, clbalance: Command, folder: Path, who: str) -> None:
    rng = random.Random(who)
    old, new = version(folder / "old", b"o"), version(lab.node("node1").folder.home("root") / "app", b"n")
    was, will_be = contents(old), contents(new)
    target = folder / "target"
    target.mkdir()
    here = target / "app.node1"
    killed = 0
    for _ in range(_ROUNDS):
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(old, here)
        child = clbalance.start("fetch", "-q", "-w", "node1", "app", "target")
        eventually(lambda pid=child.pid: victims(lab, pid, who))  # type: ignore[misc]  # of this round
        end_at = time.monotonic() + rng.uniform(0.0, _LONGEST_S)
        while time.monotonic() < end_at:
            time.sleep(0.005)
        for pid in victims(lab, child.pid, who):
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.kill(pid, signal.SIGKILL)
                killed += 1
        ended(child)
        found = contents(here)
        assert found.keys() == was.keys()
        assert not [name for name, content in found.items() if content not in {was[name], will_be[name]}]
        eventually(lambda: not any(map(is_file_program, lab.node("node1").processes())) and not local_ssh(lab))
        assert clbalance("fetch", "-q", "-w", "node1", "app", "target").rc == 0
        assert contents(here) == will_be
        assert not unfinished(target)
    assert killed
