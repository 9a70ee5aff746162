"""Controllers of detached jobs, killed at random moments and at each step: a job that has a number is never dropped.

Of each kind of job that has a controller. What they held is concluded by `wait`, by `rebalance --apply` and by another
controller in turn. Few jobs by default; CLBALANCE_SOAK=50 runs 8 x 30. A controller may end before its kill comes.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from clbalance.lab.spec import LabSpec
from tests.cli.command import THIS_TREE, Command
from tests.cli.held_jobs import job
from tests.conftest import NewLab
from tests.waiting import eventually

from .soak import trials

pytestmark = pytest.mark.soak

_AT_ONCE = 4
_LIVES_S = 3.0  # most controllers have ended by then
_POINTS = ("taken", "reserved", "intended", "ordered", "started", "ended", "recorded")
_BY_POINT = 0.3  # of all kills
_BEGIN = 'echo "$NAME" >> begun; sleep 0.$((RANDOM % 5))'
_ONCE_MORE = f"{_BEGIN}; [ -e again.$NAME ] || {{ touch again.$NAME; exit 85; }}"


@dataclass(frozen=True, slots=True)
class Kind:
    """How a job is submitted, how often it starts, and how `wait` ends."""

    options: tuple[str, ...]
    text: str
    starts: int
    rc: int


KINDS = {
    "retry": Kind(("--retry", "1"), f"{_BEGIN}; exit 3", 2, 3),
    "requeue-exit": Kind(("--requeue-exit", "85"), _ONCE_MORE, 2, 0),
    "requeue": Kind(("--requeue",), f"{_BEGIN}; exit 4", 1, 4),
    "queue-for": Kind(("--queue-for", "1h", "--cpus", "3"), _BEGIN, 1, 0),
    "notify": Kind(("--retry", "1"), f"{_BEGIN}; exit 3", 2, 3),
    "output": Kind(("--output", "out-%j"), f"{_BEGIN}; echo said", 1, 0),
    "tasks": Kind(("--array", "0-2"), _BEGIN, 3, 0),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One job, and when its controller dies: at a point, or after a time."""

    number: int
    kind: str
    point: str = ""
    after_s: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.kind}.{self.number}"


def _trials(count: int, chance: random.Random) -> list[Trial]:
    kinds = list(KINDS)
    return [
        Trial(one, kinds[one % len(kinds)], point=chance.choice(_POINTS))
        if chance.random() < _BY_POINT
        else Trial(one, kinds[one % len(kinds)], after_s=chance.uniform(0, _LIVES_S))
        for one in range(count)
    ]


def _submitted(clbalance: Command, trial: Trial) -> str:
    """The number of its job, once its controller has been killed or has ended."""
    kind = KINDS[trial.kind]
    options = (*kind.options, "--notify", f"echo {trial.name} >> told", "--env", f"NAME={trial.name}")
    env = {"CLBALANCE_FAIL_AT": trial.point} if trial.point else {}
    words = ("run", "-q", "--detach", *options, "--name", trial.name, "-a", "--", "bash", "-c", kind.text)
    while (done := clbalance(*words, env=env)).rc == 125 and not done.text:  # nothing fits: no number, no promise
        time.sleep(0.2)
    assert done.rc == 0, done.stderr
    number = done.text.strip()
    if not trial.point:
        time.sleep(trial.after_s)
        for pid in _controllers_of(clbalance, number):
            with suppress(ProcessLookupError):  # it has ended just now
                os.kill(pid, signal.SIGKILL)
    eventually(lambda: not _controllers_of(clbalance, number))
    return number


def _controllers_of(clbalance: Command, number: str) -> list[int]:
    state = clbalance.env["CLBALANCE_STATE_DIR"]
    found = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_text().split("\0")
            ours = f"CLBALANCE_STATE_DIR={state}\0" in (process / "environ").read_text(errors="replace")
        except OSError:
            continue
        if ours and words[2:4] == ["clbalance.cli.run.controller", number]:
            found.append(int(process.name))
    return found


def _conclude(clbalance: Command, numbers: Sequence[str]) -> None:
    """By each who may start pending jobs, in turn."""
    for place, number in enumerate(numbers):
        match place % 3:
            case 0:
                clbalance("wait", "-q", number)
            case 1:
                eventually(
                    lambda one=number: clbalance("rebalance", "-a", "--apply").rc == 0 and _is_over(clbalance, one)
                )
            case 2:
                clbalance("run", "-q", "--detach", "--after", number, "-a", "--", "true")
                eventually(lambda one=number: _is_over(clbalance, one))


def _is_over(clbalance: Command, number: str) -> bool:
    return job(clbalance, number)["state"] not in {"PENDING", "RUNNING"}


@pytest.mark.parametrize("seed", range(trials(few=1, full=8)))
def test_a_job_with_a_number_is_never_dropped(
    new_lab: NewLab, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    lab = new_lab(LabSpec(nodes=4, tied=True))
    place = tmp_path_factory.mktemp("dropped")
    env = {**lab.environment({"PATH": f"{sys.prefix}/bin:/usr/bin:/bin"}), **THIS_TREE, "LANG": "C.UTF-8"}
    clbalance = Command(env={**env, "HOME": str(place), "CLBALANCE_STATE_DIR": str(place / "state")}, folder=place)
    chance = random.Random(seed)
    some = _trials(trials(few=7, full=30), chance)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        numbers = list(pool.map(lambda trial: _submitted(clbalance, trial), some))
    left = [number for number in numbers if not _is_over(clbalance, number)]
    states = Counter(str(job(clbalance, number)["state"]) for number in left)
    _conclude(clbalance, left)

    ends = {trial.name: job(clbalance, number) for trial, number in zip(some, numbers, strict=True)}
    dropped = {name: end for name, end in ends.items() if end["rc"] != KINDS[name.partition(".")[0]].rc}
    starts = Counter((place / "begun").read_text().split())
    told = Counter((place / "told").read_text().split())
    wrong = {trial.name: starts[trial.name] for trial in some if starts[trial.name] != KINDS[trial.kind].starts}
    twice = {name: count for name, count in told.items() if count > 1}
    points = Counter(trial.point or "random" for trial in some)
    print(f"seed {seed}: {len(some)} kills ({dict(points)}), {len(left)} left to others ({dict(states)}),")
    print(
        f"  {len(dropped)} dropped, {len(wrong)} not started as often as they should, notified {dict(Counter(told.values()))}"
    )
    assert (dropped, wrong, twice) == ({}, {}, {})
