"""Controllers killed at random points: every job runs once, whoever of them has died, and nothing is left of any.

`run` and `run --detach`, of one node and of two, beside people who look at all jobs; a third of all is killed by SIGKILL.
What the record tells as not started is submitted again. Few jobs by default; CLBALANCE_SOAK=50 runs 5 x 220.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.spec import LabSpec
from tests.cli.command import ARGV, THIS_TREE, Command, local_ssh
from tests.conftest import NewLab
from tests.sharing.diary import NAME, WORK, begun, diary_of, ended
from tests.sharing.holding import leases_held
from tests.waiting import eventually

from .soak import trials

pytestmark = pytest.mark.soak

_NODES = 16
_AT_ONCE = 6
_KILLED = 0.35  # of all calls
_LOOKS = 0.1
_ROUNDS = 30
_CALL_WITHIN_S = 120.0


@dataclass(slots=True)
class TaskCounts:
    """What happened, for the figures; and how long a call takes, to kill the next ones within that time."""

    calls: int = 0
    kills: int = 0
    lasts_s: float = 1.0
    lock: Lock = field(default_factory=Lock)

    def took(self, seconds: float) -> None:
        with self.lock:
            self.lasts_s += (seconds - self.lasts_s) / 8


@dataclass(frozen=True, slots=True)
class Call:
    """One submission of a job, under a name of its own."""

    job: int
    copies: int
    detach: bool
    name: str

    def words(self, chance: random.Random) -> list[str]:
        some = ",".join(f"node{number}" for number in chance.sample(range(1, _NODES + 1), 2 + self.copies))
        shape = ["--detach"] if self.detach else []
        named = ["--name", self.name, "--env", f"{NAME}={self.name}"]
        return ["run", "-q", *shape, "-w", some, "--pick", str(self.copies), *named, "-c", WORK]


class Chaos:
    """Makes calls and kills some of them."""

    def __init__(self, clbalance: Command, seed: int) -> None:
        self._clbalance = clbalance
        self._chance = random.Random(seed)
        self.update_counters = TaskCounts()

    def make_all(self, calls: Sequence[Call]) -> None:
        """As many at once as there are controllers, and now and then somebody who looks at all jobs."""
        wanted = [call.words(self._chance) for call in calls]
        wanted += [["jobs"] for _ in range(int(len(calls) * _LOOKS))]
        self._chance.shuffle(wanted)
        dooms = [self._chance.random() if self._chance.random() < _KILLED else None for _ in wanted]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._make, wanted, dooms))

    def _make(self, words: list[str], doom: float | None) -> None:
        """`doom`: the part of its life after which it is killed."""
        began = time.monotonic()
        child = subprocess.Popen(
            [*ARGV, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(self._clbalance.env),
            cwd=self._clbalance.folder,
        )
        try:
            child.wait(_CALL_WITHIN_S if doom is None else doom * self.update_counters.lasts_s)
            self.update_counters.took(time.monotonic() - began)
        except subprocess.TimeoutExpired:
            assert doom is not None, f"it does not end: {words}"
            self.update_counters.kills += 1
        finally:
            self.update_counters.calls += 1
            child.kill()
            child.wait()


def _records(clbalance: Command) -> dict[str, list[dict[str, object]]]:
    """All jobs, settled, by name."""
    message = clbalance("jobs", "--ended", "--json")
    newest = json.loads(message.stdout)["jobs"]
    if newest:
        clbalance("wait", f"1-{max(one['id'] for one in newest)}")
    found: dict[str, list[dict[str, object]]] = {}
    for one in json.loads(clbalance("jobs", "--ended", "--json").stdout)["jobs"]:
        found.setdefault(one["name"], []).append(one)
    return found


def _was_never_whole(record: dict[str, object]) -> bool:
    """Whether the record says that the job was not started, or not everywhere."""
    reason = str(record["reason"])
    return record["state"] in {"CANCELLED", "FAILED"} and (
        "died before it was started" in reason or "nodes fit" in reason or "not started" in reason
    )


@pytest.mark.parametrize("seed", range(trials(few=1, full=5)))
def test_whoever_is_killed_every_job_runs_once_and_nothing_is_left(
    new_lab: NewLab, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    lab = new_lab(LabSpec(nodes=_NODES, tied=True))
    idle = {node.name: set(node.processes()) for node in lab.nodes}
    place = tmp_path_factory.mktemp("killed")
    env = {**lab.environment({"PATH": f"{sys.prefix}/bin:/usr/bin:/bin"}), **THIS_TREE, "LANG": "C.UTF-8"}
    env |= {"HOME": str(place), "CLBALANCE_STATE_DIR": str(place / "state")}
    clbalance = Command(env=env, folder=place)
    chaos = Chaos(clbalance, seed)
    began = time.monotonic()

    jobs = trials(few=8, full=220)
    left = {job: Call(job, 1 + job % 4 // 3, job % 2 == 0, f"job{job}.0") for job in range(jobs)}
    made: dict[str, Call] = {}
    done: dict[int, str] = {}
    for number in range(1, _ROUNDS):
        chaos.make_all(list(left.values()))
        made |= {call.name: call for call in left.values()}
        records = _records(clbalance)
        for job, call in tuple(left.items()):
            parts = records.get(call.name, [])
            assert len(parts) <= 1, parts
            if parts and parts[0]["state"] == "COMPLETED":
                done[job] = left.pop(job).name
            else:
                assert all(map(_was_never_whole, parts)), parts
                left[job] = Call(job, call.copies, call.detach, f"job{job}.{number}")
        if not left:
            break
    assert not left
    _check_diaries(lab, made, set(done.values()))
    eventually(lambda: not local_ssh(lab))
    eventually(lambda: not any(leases_held(node) for node in lab.nodes))
    eventually(lambda: all(set(node.processes()) <= idle[node.name] for node in lab.nodes))
    counts, seconds = chaos.update_counters, time.monotonic() - began
    print(f"seed {seed}: {jobs} jobs, {counts.calls} calls, {counts.kills} killed, {number} rounds, {seconds:.0f} s")


def _check_diaries(lab: Lab, made: dict[str, Call], done: set[str]) -> None:
    """What completed has begun and ended once on each of its nodes; what did not, has begun nowhere or not everywhere."""
    for node in lab.nodes:
        assert max(Counter(begun(diary_of(node))).values(), default=0) <= 1, node.name
    everything = [entry for node in lab.nodes for entry in diary_of(node)]
    starts, ends = Counter(begun(everything)), Counter(ended(everything))
    for name, call in made.items():
        if name in done:
            assert (starts[name], ends[name]) == (call.copies, call.copies), name
        else:
            assert starts[name] < call.copies, name
