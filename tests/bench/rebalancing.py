"""Figures of a plan of moves: no cluster, no connection, one process."""

import random
import time
from collections.abc import Iterator

from clbalance.model import Allocation, Lease, NodeName, Qos, Request, Snapshot
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.rebalance.plan import plan_migrations
from clbalance.policy.rebalance.values import BalanceSettings, RebalancePlan, RunningJob
from tests.policy.build import ME, NOW, UPTIME_S, node

from .figure import Figure, Spread
from .question import Measurement
from .site import Site

JOBS, NODES = 1_000, 100
_CPUS = (16, 32, 32, 64, 128)
_SIZES = (0.5, 1.0, 1.0, 2.0, 2.0, 4.0, 8.0)
_TO_THE_END = BalanceSettings(deviation=0.05, max_moves=JOBS, confirm=1)
_AGE_S = 900.0
_ROUND: float = 1e-6


def uneven(seed: int) -> tuple[Snapshot, list[RunningJob]]:
    """Nodes of several sizes, a quarter with strangers on them; most jobs lie on a third of the nodes."""
    rng = random.Random(seed)
    names = [NodeName(f"n{number:03}") for number in range(NODES)]
    cpus = {name: rng.choice(_CPUS) for name in names}
    foreign = {name: rng.uniform(0.0, 0.5) * cpus[name] if rng.random() < 0.25 else 0.0 for name in names}
    left = {name: cpus[name] - foreign[name] for name in names}
    jobs: list[RunningJob] = []
    while len(jobs) < JOBS:
        name = rng.choice(names[: NODES // 3] if rng.random() < 0.8 else names)
        job = _job(len(jobs), name, rng)
        if job.request.cpus <= left[name]:
            left[name] -= job.request.cpus
            jobs.append(job)
    answers = [_answer(name, cpus[name], foreign[name], [job for job in jobs if job.node == name]) for name in names]
    return Snapshot(taken_at=NOW, answers=tuple(answers)), jobs


def _job(number: int, name: NodeName, rng: random.Random) -> RunningJob:
    asked = rng.choice(_SIZES) if rng.random() < 0.9 else 0.0
    used = rng.uniform(0.1, 1.3) * asked if asked else rng.uniform(0.2, 3.0)
    return RunningJob(
        job=number,
        name=f"j{number}",
        node=name,
        request=Request(cpus=asked, mem_bytes=int(asked * 100), name=f"j{number}", needs_python=True),
        cpus_used=used,
        qos=Qos.BURSTABLE if asked else Qos.BEST_EFFORT,
        earlier_nodes=frozenset(),
        migrated_s_ago=None,
        key=f"k{number}",
    )


def _answer(name: NodeName, cpus: int, foreign: float, jobs: list[RunningJob]):  # type: ignore[no-untyped-def]
    leases = tuple(
        Lease(
            key=job.key,
            attempt=1,
            uid=ME,
            allocation=Allocation(
                cpus=job.request.cpus, mem_bytes=job.request.mem_bytes, name=job.name, uptime_s=UPTIME_S - _AGE_S
            ),
        )
        for job in jobs
    )
    return node(name, r1m=foreign + sum(job.cpus_used or 0.0 for job in jobs), cpus=cpus, leases=leases)


def plan_of(snapshot: Snapshot, jobs: list[RunningJob], settings: BalanceSettings = _TO_THE_END) -> RebalancePlan:
    return plan_migrations(
        snapshot, jobs, (), {answer.node: 1 for answer in snapshot.answers}, settings, LEAST, NOW, ME
    )


def rebalance(site: Site) -> Iterator[Figure]:
    """1,000 jobs on 100 nodes of several sizes, until nothing is gained any more."""
    for seed in (1, 2, 3):
        snapshot, jobs = uneven(seed)
        times = []
        for _ in range(site.rounds):
            began = time.process_time()
            plan = plan_of(snapshot, jobs)
            times.append(time.process_time() - began)
        before = [level.before for level in plan.levels if isinstance(level.before, float)]
        after = [level.after for level in plan.levels if isinstance(level.after, float)]
        yield Figure(
            name=f"plan of {JOBS:,} jobs on {NODES} nodes, {seed}",
            value=min(times),
            unit="s, the best",
            limit=0.2,
            ours_s=Spread.of(times),
            note=f"largest level {max(before):.3f} to {max(after):.3f}, bound {plan.bound:.3f}; "
            f"score {plan.score_before:.3f} to {plan.score_after:.3f}; {len(plan.migrations)} moves",
        )


MEASUREMENTS = (Measurement("rebalance", f"a plan for {JOBS:,} jobs on {NODES} nodes", rebalance),)
