"""What stale load costs: a simulated cluster whose dispatchers see it only every so often, placed by the real code.

One server per node, first come first served; exponential service of mean 60 s; Poisson arrivals that keep the servers
busy for 0.9 of the time. Each dispatcher sweeps every `age` service times, at its own phase (Mitzenmacher, "How useful
is old information?", 2000: periodic update). r1m is the kernel's average of the queue, leases are the queue's own
with their ages, and what a dispatcher places it charges until it sweeps again. Times are told in service times.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random

from clbalance.model import (
    Allocation,
    Cpus,
    Lease,
    Measured,
    Memory,
    NodeName,
    Reading,
    Request,
    RunQueue,
    Snapshot,
    Unknown,
)
from clbalance.policy.allocations import TAU_S
from clbalance.policy.forecast.node import Outlook, slot_at, with_sample
from clbalance.policy.indices.samples import index_values
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import policy_named
from clbalance.policy.placement.thresholds import Thresholds

NODES, BUSY, SERVICE_S = 32, 0.9, 60.0
_NOT_TOLD = Unknown(reason="simulated")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Who places: a policy of ours over snapshots of an age, or, without a policy, live join-shortest-queue."""

    policy: str | None
    age: float = 1.0
    dispatchers: int = 1
    remembers: bool = True
    """Debt and leases count; without them only the measured queue does."""
    foresees: bool = False
    """The queue that is expected counts, in place of the measured one."""


_FORESEEN_EVERY_S = 300.0
"""Forecasts change so often between two sweeps."""


@dataclass(slots=True)
class _View:
    """What one dispatcher knows: its last snapshot with its own placements, and what its sweeps say of the load to come."""

    snapshot: Snapshot
    forecasts: list[bytes | None] = field(default_factory=lambda: [None] * NODES)
    foreseen_s: float = -math.inf

    def count(self) -> None:
        """Count the snapshot, as the store does."""
        for at, answer in enumerate(self.snapshot.answers):
            assert isinstance(answer, Measured)
            slot = slot_at(float(answer.reading.uptime_s))  # type: ignore[arg-type]  # of a simulated node it is known
            self.forecasts[at] = with_sample(self.forecasts[at], slot, index_values(answer))

    def foresee(self, now_s: float) -> None:
        """Look as far ahead as the snapshot is old: the load of now is not known either."""
        if now_s - self.foreseen_s < _FORESEEN_EVERY_S:
            return
        self.foreseen_s = now_s
        answers = (
            replace(answer, expected=Outlook(state, now_s)) if isinstance(answer, Measured) and state else answer
            for answer, state in zip(self.snapshot.answers, self.forecasts, strict=True)
        )
        self.snapshot = replace(self.snapshot, answers=tuple(answers))


@dataclass(slots=True)
class _Server:
    """A node: who waits since when, and the load average."""

    queue: list[tuple[int, float]] = field(default_factory=list)
    r1m: float = 0.0
    at_s: float = 0.0

    def pass_time(self, now_s: float) -> None:
        kept = math.exp(-(now_s - self.at_s) / TAU_S)
        self.r1m, self.at_s = self.r1m * kept + len(self.queue) * (1 - kept), now_s

    def answer(self, number: int, now_s: float, *, remembers: bool) -> Measured:
        self.pass_time(now_s)
        leases = tuple(
            Lease(key=str(job), attempt=1, uid=0, allocation=Allocation(cpus=1.0, uptime_s=since))
            for job, since in self.queue
        )
        # Who counts no debt is better off with what is there now than with an average of it.
        r1m = self.r1m if remembers else float(len(self.queue))
        return _measured(NodeName(f"n{number:02}"), r1m, leases if remembers else (), now_s)


def mean_response(case: Case, *, jobs: int, seed: int) -> float:
    """Over `jobs` jobs, the first fifth aside, in service times."""
    responses = [response for _, response in zip(range(jobs), _responses(case, Random(seed)), strict=False)]
    settled = responses[jobs // 5 :]
    return sum(settled) / len(settled) / SERVICE_S


def _responses(case: Case, rng: Random) -> Iterator[float]:
    servers = [_Server() for _ in range(NODES)]
    step_s = case.age * SERVICE_S
    events: list[tuple[float, int, str, int]] = [(0.0, 0, "arrival", 0)]
    events += [(one * step_s / case.dispatchers, one, "sweep", one) for one in range(case.dispatchers)]
    heapq.heapify(events)
    views = [_View(_sweep(servers, 0.0, case)) for _ in range(case.dispatchers)]
    number = 0
    while True:
        now_s, _, what, which = heapq.heappop(events)
        number += 1
        match what:
            case "sweep":
                views[which].snapshot, views[which].foreseen_s = _sweep(servers, now_s, case), -math.inf
                if case.foresees:
                    views[which].count()
                heapq.heappush(events, (now_s + step_s, number, "sweep", which))
            case "arrival":
                heapq.heappush(events, (now_s + rng.expovariate(BUSY * NODES / SERVICE_S), number, "arrival", 0))
                chosen = _choose(servers, views, case, now_s, rng)
                servers[chosen].pass_time(now_s)
                servers[chosen].queue.append((number, now_s))
                if len(servers[chosen].queue) == 1:
                    heapq.heappush(events, (now_s + rng.expovariate(1 / SERVICE_S), number, "end", chosen))
            case _:
                servers[which].pass_time(now_s)
                _, since_s = servers[which].queue.pop(0)
                yield now_s - since_s
                if servers[which].queue:
                    heapq.heappush(events, (now_s + rng.expovariate(1 / SERVICE_S), number, "end", which))


def _choose(servers: list[_Server], views: list[_View], case: Case, now_s: float, rng: Random) -> int:
    if case.policy is None:
        shortest = min(len(server.queue) for server in servers)
        return rng.choice([at for at, server in enumerate(servers) if len(server.queue) == shortest])
    view = views[rng.randrange(case.dispatchers)]
    if case.foresees:
        view.foresee(now_s)
    everywhere = Thresholds(r1m_per_cpu=None, mem_available_pct=None)
    weights = {"run_queue": 0.0, "forecast": 4.0} if case.foresees else {}
    policy = policy_named(case.policy, thresholds=everywhere, weights=weights)
    plan = place(view.snapshot, Request(cpus=1.0 if case.remembers else 0.0), policy, _NOW, rng)
    if case.remembers:
        view.snapshot = plan.charged
    return int(plan.chosen[0][1:])


def _sweep(servers: list[_Server], now_s: float, case: Case) -> Snapshot:
    answers = (server.answer(at, now_s, remembers=case.remembers) for at, server in enumerate(servers))
    return Snapshot(taken_at=_NOW, answers=tuple(answers))


def _measured(name: NodeName, r1m: float, leases: tuple[Lease, ...], uptime_s: float) -> Measured:
    return Measured(
        node=name,
        reading=Reading(
            boot_id="b",
            uptime_s=uptime_s,
            run_queue=RunQueue(r1m=r1m, r5m=0.0, r15m=0.0, rq=0),
            cpus=Cpus(online=1000, model=""),  # so that no node is ever full: a queue has no end
            cpu_ticks=_NOT_TOLD,
            memory=Memory(total_bytes=1, available_bytes=1, swap_total_bytes=0, swap_free_bytes=0),
            pressure=_NOT_TOLD,
            tmp=_NOT_TOLD,
            disk=_NOT_TOLD,
            net=_NOT_TOLD,
            logins=0,
            python="python3",
            gpus=(),
            uid=0,
            leases=leases,
            drains=(),
        ),
        rates=_NOT_TOLD,
        rtt_s=0.0,
    )
