"""`rebalance` is killed while it moves jobs, or who has them in hand is: no job is lost, and none runs twice.

Few kills by default; CLBALANCE_SOAK=50 makes 200 amid moves.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from clbalance.lab.spec import LabSpec
from tests.cli.command import THIS_TREE, Command, ended, local_ssh
from tests.conftest import NewLab, environment_of
from tests.faults.soak import trials
from tests.waiting import eventually

from .herd import Herd

pytestmark = pytest.mark.soak

NODES, JOBS = 8, 6
ALL = ("-w", f"node[1-{NODES}]")
SETTINGS = f"[rebalance]\nconfirm = 1\ncooldown_s = 0\nmax_moves = {JOBS}\n"
CHECK_EVERY = 8  # kills: then nobody disturbs, until every job runs


class Killer:
    """Starts `rebalance` again and again, and kills it, or a controller beside it, at a random moment of its life."""

    def __init__(self, clbalance: Command, herd: Herd, chance: random.Random) -> None:
        self.kills = Counter[str]()
        self.moves_begun = 0
        self._clbalance = clbalance
        self._herd = herd
        self._chance = chance
        self._lasts_s = 3.0
        self._moves_last_s = 1.0

    def once(self) -> None:
        """Most are killed amid moves: behind the first word of one that is written down."""
        herd, chance = self._herd, self._chance
        herd.push()
        before, others = herd.words(), herd.controllers()
        began = first_word = time.monotonic()
        run = self._clbalance.start("rebalance", *ALL, "--apply")
        if chance.random() < 0.1:
            wait_for(run, chance.random() * self._lasts_s)
        else:
            eventually(lambda: run.poll() is not None or herd.words() != before)
            first_word = time.monotonic()
            wait_for(run, chance.random() * self._moves_last_s)
        if run.poll() is None:
            amid = "amid moves" if herd.words() != before else "before them"
            who, victim = chance.choice([("rebalance", run.pid), ("controller", chance.choice(others or [run.pid]))])
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            self.kills[f"{who if others else 'rebalance'} {amid}"] += 1
        assert ended(run) in {0, -signal.SIGKILL}
        if run.returncode == 0 and first_word != began:
            self._moves_last_s += (time.monotonic() - first_word - self._moves_last_s) / 4
        self.moves_begun += sum(one != other for one, other in zip(before, herd.words(), strict=True))

    def undisturbed(self) -> None:
        """At most two runs, and every job runs."""
        self._herd.push()
        for _ in range(2):
            began = time.monotonic()
            done = self._clbalance("rebalance", *ALL, "--apply")
            assert done.rc == 0, done.stderr
            self._lasts_s += (time.monotonic() - began - self._lasts_s) / 4
            if not self._herd.waiting():
                break
        self._herd.all_run()

    @property
    def amid_moves(self) -> int:
        return sum(count for how, count in self.kills.items() if how.endswith("amid moves"))


def wait_for(run: "subprocess.Popen[bytes]", seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        run.wait(seconds)


@pytest.mark.parametrize("controller", [("nobody",), ("keeper", "terminal", "nobody")], ids=["nobody", "controllers"])
def test_whoever_is_killed_amid_moves_no_job_is_lost_and_none_runs_twice(
    new_lab: NewLab, tmp_path: Path, controller: tuple[str, ...]
) -> None:
    lab = new_lab(LabSpec(nodes=NODES, cpus=4, tied=True))
    idle = {node.name: set(node.processes()) for node in lab.nodes}
    clbalance = Command(env={**environment_of(lab, tmp_path), **THIS_TREE}, folder=tmp_path)
    (tmp_path / "clbalance.toml").write_text(SETTINGS)
    chance, began = random.Random(len(controller)), time.monotonic()
    with clbalance.opened:
        herd = Herd(lab, clbalance, chance, [node.name for node in lab.nodes], controller, JOBS)
        killer = Killer(clbalance, herd, chance)
        for turn in itertools.count(1):
            killer.once()
            herd.none_ran_twice()
            if chance.random() < 0.3:  # else the next `rebalance` is the first that looks
                herd.none_is_lost()
            enough = killer.amid_moves >= trials(few=2, full=100)
            if turn % CHECK_EVERY == 0 or enough:
                killer.undisturbed()
                herd.none_ran_twice()
            if enough:
                break
            herd.renew()
        herd.end()
    eventually(lambda: not local_ssh(lab))
    eventually(lambda: all(set(node.processes()) <= idle[node.name] for node in lab.nodes))
    (audit,) = tmp_path.rglob("audit.jsonl")
    actions = Counter(f"{one['what']}: {one['result'][:9]}" for one in map(json.loads, audit.read_text().splitlines()))
    starts = sum(len(one.starts) for one in herd.ended)
    print(f"\n{dict(killer.kills)}; {killer.moves_begun} moves begun; {len(herd.ended)} jobs, {starts} starts")
    print(f"audit: {dict(actions)}; {turn} runs in {time.monotonic() - began:.0f} s")
