"""A pile of jobs on a few nodes, and loads that swing: run after run, each seeing what the one before has done."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from clbalance.model import NodeName
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.rebalance.levels import lower_bound, over_nodes
from clbalance.policy.rebalance.plan import plan_migrations
from clbalance.policy.rebalance.values import BalanceSettings, Departure, RebalancePlan, RunningJob
from tests.policy.build import ME, NOW, UPTIME_S, node, sweep

from .cases import Cluster, a_job, lease_of, planned, takes

NAMES = [f"node{number:02}" for number in range(12)]


@dataclass
class Runs:
    """A cluster of which every run is a sweep, counted over nodes, a plan, and its moves carried out at once."""

    cluster: Cluster
    settings: BalanceSettings
    times: Counter[NodeName] = field(default_factory=Counter)

    def run(self) -> RebalancePlan:
        snapshot = self.cluster.swept()
        over = over_nodes(snapshot, (), self.settings, LEAST, NOW)
        self.times = Counter({name: self.times[name] + 1 for name in over})
        plan = planned(snapshot, self.cluster.jobs, self.settings, times_over=self.times)  # type: ignore[arg-type]
        self.cluster = self.cluster.after(plan.migrations)
        return plan


PILES: dict[str, Callable[[int], RunningJob]] = {
    "of half a cpu": lambda at: a_job(at, NAMES[at % 3], 0.5, used=0.5),
    "of half a cpu that use one": lambda at: a_job(at, NAMES[at % 3], 0.5, used=1.0),
    "that were promised nothing and use one": lambda at: a_job(at, NAMES[at % 3], 0.0, used=1.0),
}


def pile(job: Callable[[int], RunningJob]) -> Cluster:
    return Cluster(
        cpus=dict.fromkeys(NAMES, 4),
        jobs=tuple(job(at) for at in range(24)),
        foreign={NAMES[5]: 2.0, NAMES[8]: 2.0},
    )


def best_of_equals(cluster: Cluster) -> float:
    """The optimum of equal jobs: the least level that holds them all."""
    weight = takes(cluster.jobs[0])
    return min(
        at / 1000
        for at in range(4000)
        if sum(
            math.floor((at * 4 / 1000 - cluster.foreign.get(name, 0.0)) / weight + 1e-9)
            for name in NAMES
            if at * 4 / 1000 >= cluster.foreign.get(name, 0.0)
        )
        >= len(cluster.jobs)
        and at * 4 / 1000 >= max(cluster.foreign.values())
    )


@pytest.mark.parametrize("job", PILES.values(), ids=PILES.keys())
def test_one_run_levels_a_pile_and_the_next_three_move_nothing(job: Callable[[int], RunningJob]) -> None:
    runs = Runs(pile(job), BalanceSettings(confirm=1, max_moves=24))
    runs.run()
    assert runs.cluster.largest() <= 1.1 * best_of_equals(runs.cluster)
    assert [runs.run().migrations for _ in range(3)] == [(), (), ()]


@pytest.mark.parametrize("job", PILES.values(), ids=PILES.keys())
def test_with_the_defaults_a_pile_is_level_after_the_runs_that_they_say(job: Callable[[int], RunningJob]) -> None:
    runs = Runs(pile(job), BalanceSettings())
    counts = [len(runs.run().migrations) for _ in range(10)]
    assert counts[:2] == [0, 0]
    moving = [count for count in counts if count]
    assert moving[:-1] == [5] * (len(moving) - 1)
    assert counts == [0, 0, *moving, *[0] * (8 - len(moving))]
    assert runs.cluster.largest() <= 1.1 * best_of_equals(runs.cluster)


@dataclass
class Swing:
    """Twelve jobs on six nodes, of which some have a load of others that comes and goes; r1m remembers a minute."""

    period_s: float
    swinging: int
    phase: float
    height: float
    jobs: list[RunningJob] = field(default_factory=lambda: [a_job(at, f"n{at % 6}", 0.5, used=0.5) for at in range(12)])
    r1m: dict[str, float] = field(default_factory=lambda: {f"n{at}": 1.0 for at in range(6)})
    left: list[tuple[str, float, float]] = field(default_factory=list)
    since: dict[int, float] = field(default_factory=dict)
    times: Counter[NodeName] = field(default_factory=Counter)
    moved: Counter[int] = field(default_factory=Counter)

    def pass_time(self, now_s: float, step_s: float = 10.0) -> None:
        kept = math.exp(-step_s / 60.0)
        for at, name in enumerate(self.r1m):
            is_up = at < self.swinging and ((now_s / self.period_s + self.phase * at) % 1.0) < 0.5
            runs = sum(takes(job) for job in self.jobs if job.node == name) + (self.height if is_up else 0.0)
            self.r1m[name] = self.r1m[name] * kept + runs * (1.0 - kept)

    def run(self, now_s: float, settings: BalanceSettings) -> None:
        jobs = [
            replace(job, migrated_s_ago=now_s - self.since[job.job]) if job.job in self.since else job
            for job in self.jobs
        ]
        snapshot = sweep(
            *(
                node(
                    name,
                    r1m=r1m,
                    leases=tuple(
                        lease_of(job, uptime_s=UPTIME_S - (now_s - self.since.get(job.job, -6000.0)))
                        for job in jobs
                        if job.node == name
                    ),
                )
                for name, r1m in self.r1m.items()
            )
        )
        gone = [
            Departure(node=NodeName(name), cpus=cpus, age_s=6000.0, seconds_ago=now_s - at_s)
            for name, cpus, at_s in self.left
        ]
        over = over_nodes(snapshot, gone, settings, LEAST, NOW)
        self.times = Counter({name: self.times[name] + 1 for name in over})
        for move in plan_migrations(snapshot, jobs, gone, self.times, settings, LEAST, NOW, ME).migrations:
            job = next(one for one in self.jobs if one.job == move.job)
            self.jobs[self.jobs.index(job)] = replace(job, node=move.dst, earlier_nodes=job.earlier_nodes | {move.src})
            self.left.append((move.src, takes(job), now_s))
            self.since[move.job] = now_s
            self.moved[move.job] += 1


SWINGS = [
    (period_s, swinging, phase, height)
    for period_s in (60.0, 200.0, 310.0, 600.0)
    for swinging, phase in ((1, 0.0), (3, 0.3))
    for height in (2.0, 6.0)
]


@pytest.mark.parametrize("every_s", [60.0, 300.0])
def test_a_load_that_swings_for_half_an_hour_moves_no_job_twice(every_s: float) -> None:
    worst = 0
    for period_s, swinging, phase, height in SWINGS:
        swing = Swing(period_s=period_s, swinging=swinging, phase=phase, height=height)
        for tick in range(1800 // 10 + 1):
            swing.pass_time(tick * 10.0)
            if tick * 10.0 % every_s == 0.0:
                swing.run(tick * 10.0, BalanceSettings())
        worst = max(worst, *swing.moved.values(), 0)
    assert worst <= 1


def test_no_bound_is_above_what_can_be_had() -> None:
    assert lower_bound([], [], []) == 0.0
    assert lower_bound([2.0, 0.0], [4.0, 4.0], []) == 0.5
    assert lower_bound([0.0, 0.0], [4.0, 4.0], [3.0]) == pytest.approx(0.75)
    assert lower_bound([0.0, 0.0], [4.0, 4.0], [1.0, 1.0, 1.0]) == pytest.approx(0.5)
    assert lower_bound([0.0, 0.0], [4.0, 8.0], [float(size) for size in range(1, 60)]) == pytest.approx(147.5)
