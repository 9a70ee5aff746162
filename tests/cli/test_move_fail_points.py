"""Every window between two steps of a move (docs/design/jobs.md): whoever dies there, the job is in at most one place."""

import random
import subprocess
from pathlib import Path

import pytest

from clbalance.job import JobState
from clbalance.lab.cluster import Lab
from tests.faults.soak import trials

from .command import Command, eventually, nothing_left
from .jobs import let_go
from .moving import KINDS, NODES, is_held, is_in_one_place, never_twice, orphan, record, start_mover, word

BEFORE = ("move-asked", "move-reserved", "move-meant")
"""Nothing has reached the job by then."""
BEHIND = ("move-stopped", "move-ended", "intended", "ordered", "started")
AGAIN = frozenset({"intended", "ordered", "started"})
"""A controller has come there before, with the first attempt."""


def cases(first: str) -> list[tuple[str, str]]:
    """Every point with one of the kinds in turn, the first one first; with both of them where much is to be tried."""
    both = trials(few=1, full=2) > 1
    turns = [(point, (first == "requeue") == (turn % 2 == 0)) for turn, point in enumerate((*BEFORE, *BEHIND))]
    return [(point, kind) for point, is_requeue in turns for kind in KINDS if both or (kind == "requeue") == is_requeue]


def runs_or_is_started_again(clbalance: Command, folder: Path, number: int = 1) -> None:
    """What was cut short can be gone on with at once."""
    if record(clbalance, number).state is not JobState.RUNNING:
        done = clbalance("requeue", "--detach", str(number))
        assert done.rc == 0, done.stderr
    eventually(lambda: is_held(folder))


@pytest.mark.parametrize(("point", "kind"), cases("requeue"))
def test_who_moves_a_job_of_nobodys_dies(lab: Lab, clbalance: Command, point: str, kind: str) -> None:
    with nothing_left(lab):
        orphan(clbalance, *KINDS[kind])
        asked, _, _ = word(clbalance)
        start_mover(clbalance, asked, CLBALANCE_FAIL_AT=point).wait(30.0)
        check(clbalance, point)


@pytest.mark.parametrize(("point", "kind"), cases("checkpoint"))
def test_a_controller_dies_that_moves_its_job(lab: Lab, clbalance: Command, point: str, kind: str) -> None:
    fails = Command(
        env={**clbalance.env, "CLBALANCE_FAIL_AT": f"{point}:2" if point in AGAIN else point},
        folder=clbalance.folder,
        opened=clbalance.opened,
    )
    with nothing_left(lab):
        run = fails.start("run", *NODES, *KINDS[kind])
        asked, _, _ = word(clbalance)
        mover = start_mover(clbalance, asked)
        assert run.wait(30.0) == -9
        assert mover.wait(60.0) == 0
        check(clbalance, point)


def check(clbalance: Command, point: str) -> None:
    eventually(lambda: is_in_one_place(clbalance, clbalance.folder), 20.0)
    never_twice(clbalance)
    found = record(clbalance)
    if point in BEFORE:
        assert (found.state, found.attempt) == (JobState.RUNNING, 1)
    if point == "started":
        assert (found.state, found.attempt) == (JobState.RUNNING, 2)
    runs_or_is_started_again(clbalance, clbalance.folder)
    let_go(clbalance)
    assert clbalance("wait", "1").rc == 7
    never_twice(clbalance)


JOBS = 3


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(trials(few=1, full=2)))
def test_whoever_is_killed_no_job_is_lost_and_none_runs_twice(lab: Lab, clbalance: Command, seed: int) -> None:
    """Few kills by default; CLBALANCE_SOAK=50 makes 200."""
    chance = random.Random(seed)
    jobs = [ManyTimesMoved(clbalance, number, chance) for number in range(1, JOBS + 1)]
    wanted = trials(few=3, full=100)
    kills = moves = 0
    lasts_s = 2.0
    with nothing_left(lab):
        while kills < wanted:
            mover = start_mover(clbalance, *(one.move() for one in jobs))
            victims = [mover, *(one.controller for one in jobs if one.controller is not None)]
            victim = chance.choice(victims)
            try:
                mover.wait(chance.random() * lasts_s) if victim is mover else victim.wait(chance.random() * lasts_s)
            except subprocess.TimeoutExpired:
                victim.kill()
                kills += 1
            mover.wait(120.0)
            moves += JOBS
            for one in jobs:
                one.check()
        for one in jobs:
            one.end()
    starts = sum(one.starts() for one in jobs)
    print(f"seed {seed}: {kills} kills in {moves} moves of {JOBS} jobs, which were started {starts} times")


class ManyTimesMoved:
    """A job in a folder of its own, that goes from node to node; every other one has a controller."""

    def __init__(self, clbalance: Command, number: int, chance: random.Random) -> None:
        self.number = number
        self.controller: subprocess.Popen[bytes] | None = None
        self._chance = chance
        self._clbalance = clbalance
        self._folder = clbalance.folder / f"of{number}"
        self._folder.mkdir()
        kind = KINDS["checkpoint" if number % 3 else "requeue"]
        words = ("run", "-w", "node[1-4]", "--chdir", str(self._folder), *kind)
        if number % 2:
            self.controller = clbalance.start(*words)
        else:
            assert clbalance(*words[:1], "--detach", *words[1:]).rc == 0
        eventually((self._folder / "diary").exists, 20.0)
        eventually(lambda: record(clbalance, number).state is JobState.RUNNING)

    def move(self) -> str:
        (src,) = record(self._clbalance, self.number).nodes
        dst = self._chance.choice([f"node{one}" for one in range(1, 5) if f"node{one}" != src])
        return f"{self.number}:{src}:{dst}"

    def check(self) -> None:
        """It is in one place; where it waits, it is started again, with a controller as before."""
        clbalance, number = self._clbalance, self.number
        eventually(
            lambda: record(clbalance, number).controlled or is_in_one_place(clbalance, self._folder, number), 40.0
        )
        eventually(
            lambda: record(clbalance, number).state is not JobState.PENDING or not record(clbalance, number).controlled,
            40.0,
        )
        assert not (self._folder / "twice").exists()
        if record(clbalance, number).state is not JobState.RUNNING:
            self._start_again()
        eventually(lambda: is_held(self._folder), 20.0)

    def _start_again(self) -> None:
        words = ("requeue", str(self.number))
        if self.controller is None:
            assert self._clbalance(*words, "--detach").rc == 0
        else:
            self.controller = self._clbalance.start(*words)
        eventually(lambda: record(self._clbalance, self.number).state is JobState.RUNNING, 20.0)

    def starts(self) -> int:
        return len((self._folder / "diary").read_text().splitlines())

    def end(self) -> None:
        (self._folder / "go").touch()
        assert self._clbalance("wait", str(self.number)).rc == 7
        assert not (self._folder / "twice").exists()
