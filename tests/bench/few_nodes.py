"""What it costs to ask few nodes: regret against full information, and what many do who remember the same.

The number of runnable processes of each node is a birth and death process (M/M/infinity) with a mean of its own, which
forgets what it was within `memory_s`: the load that is remembered and the load that is found are drawn from its exact
joint distribution, `age_s` apart. Placement and shortlist are the real code.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from statistics import fmean

from clbalance.model import Answer, Measured, NodeName, Request, Snapshot
from clbalance.policy.placement.charge import allocation_limits, with_allocations
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.placement.quorum import with_late
from clbalance.policy.shortlist import Memory, first_asked, next_asked, unknown_node
from tests.policy.build import node

from .figure import Figure
from .question import Measurement
from .site import Site

CPUS = 16
_NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_REQUEST = Request()
_TRIALS = 200
_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How the load of a cluster comes about."""

    name: str
    busy: float
    """Mean number of runnable processes for each cpu."""
    spread: float
    """How much nodes differ: the deviation of their means, as a share of `busy`."""
    memory_s: float
    """The mean time that a process runs."""


HISTORIES = (
    History(name="quiet, minutes", busy=0.2, spread=0.5, memory_s=300.0),
    History(name="busy, seconds", busy=0.7, spread=0.3, memory_s=30.0),
    History(name="busy, minutes", busy=0.7, spread=0.5, memory_s=300.0),
    History(name="busy, hours", busy=0.7, spread=0.5, memory_s=3600.0),
    History(name="nearly full, minutes", busy=0.95, spread=0.3, memory_s=300.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """Means over many placements."""

    points: float
    """By which the chosen node is worse than the best of all."""
    load: float
    """How many more processes for each cpu it has."""
    asked: float
    rounds: float
    remembered_points: float
    """The regret of who trusts what is remembered, and asks nobody."""
    chance_points: float
    """The regret of who asks as many nodes at random."""


def regret(history: History, *, nodes: int, age_s: float, trials: int, seed: int) -> Regret:
    """What few nodes cost, `age_s` after all nodes were asked."""
    rng = Random(seed)
    found = [_trial(history, nodes, age_s, rng) for _ in range(trials)]
    points, load, asked, rounds, remembered, chance = (fmean(column) for column in zip(*found, strict=True))
    return Regret(
        points=points, load=load, asked=asked, rounds=rounds, remembered_points=remembered, chance_points=chance
    )


def _trial(history: History, nodes: int, age_s: float, rng: Random) -> tuple[float, ...]:
    before, now = zip(*(_loads(history, age_s, rng) for _ in range(nodes)), strict=True)
    memory = _memory(before, age_s)
    truth = {answer.node: answer for answer in _answers(now)}
    snapshot, rounds = ask_few(memory, truth, rng)
    asked = [answer.node for answer in snapshot.answers if isinstance(answer, Measured)]
    best = _points(truth.values(), rng)
    chosen, trusted = (
        place(Snapshot(taken_at=_NOW, answers=known), _REQUEST, LEAST, _NOW, rng).nodes[0]
        for known in (snapshot.answers, memory.answers)
    )
    by_chance = [truth[name] for name in rng.sample(list(truth), len(asked))]
    regrets = (best - _points(some, rng) for some in ([truth[chosen]], [truth[trusted]], by_chance))
    points, remembered, chance = regrets
    return points, (now[int(chosen[1:])] - min(now)) / CPUS, len(asked), rounds, remembered, chance


def ask_few(
    memory: Memory, truth: Mapping[NodeName, Answer], rng: Random, before: Snapshot | None = None
) -> tuple[Snapshot, int]:
    """What a placement knows when it has asked as many nodes as it wants, and in how many rounds."""
    asked = set(first_asked(memory, _REQUEST, LEAST, _NOW, rng)) if before is None else set()
    rounds = 0
    while True:
        answers = tuple(truth[one.node] if one.node in asked else unknown_node(one.node, 0.0) for one in memory.answers)
        fresh = Snapshot(taken_at=_NOW, answers=answers)
        snapshot = fresh if before is None else with_late(before, fresh)
        chosen = place(snapshot, _REQUEST, LEAST, _NOW, rng).nodes
        more = next_asked(memory, snapshot, chosen, _REQUEST, LEAST, _NOW)
        rounds += 1
        if not more:
            return snapshot, rounds
        asked.update(more)


def crowd(*, clients: int, nodes: int, seed: int) -> tuple[float, float, float]:
    """How many runnable processes the fullest chosen node has, if so many clients place a job at once and remember the
    same; how many if one client placed all the jobs; and how many nodes each of them asks.

    No two nodes have the same load, so that all clients remember the same three best.
    """
    rng = Random(seed)
    loads = [number * 0.25 for number in range(nodes)]
    memory = _memory(loads, 5.0)
    truth = {answer.node: answer for answer in _answers(loads)}
    placed: Counter[NodeName] = Counter()
    views = [ask_few(memory, truth, rng)[0] for _ in range(clients)]
    waiting = list(range(clients))
    while waiting:
        client = rng.choice(waiting)
        plan = place(views[client], _REQUEST, LEAST, _NOW, rng)
        (chosen,) = plan.nodes
        most = allocation_limits(plan, views[client], _REQUEST, LEAST).get(chosen)
        if most is not None and placed[chosen] > most:
            crowded = with_allocations(views[client], {chosen: float(placed[chosen])})
            current = with_allocations(
                Snapshot(taken_at=_NOW, answers=tuple(truth.values())),
                {name: float(count) for name, count in placed.items()},
            )
            grown = {one.node: one for one in current.answers if isinstance(one, Measured)}
            views[client], _ = ask_few(memory, grown, rng, crowded)
            continue
        placed[chosen] += 1
        waiting.remove(client)
    asked = fmean(sum(isinstance(one, Measured) for one in view.answers) for view in views)
    levels = list(loads)
    alone = 0.0
    for _ in range(clients):
        at = levels.index(min(levels))
        levels[at] += 1.0
        alone = max(alone, levels[at])
    return max(loads[int(name[1:])] + count for name, count in placed.items()), alone, asked


def few(site: Site) -> Iterator[Figure]:
    """Regret by age, history and size; and a crowd."""
    del site
    for nodes, trials in ((32, _TRIALS), (1000, _TRIALS // 10)):
        for history in HISTORIES:
            for age_s in (5.0, 30.0, 60.0, 120.0):
                one = regret(history, nodes=nodes, age_s=age_s, trials=trials, seed=1)
                yield Figure(
                    name=f"{nodes} nodes, {history.name}, age {age_s:g} s",
                    value=one.points,
                    unit="points worse than the best of all",
                    note=f"{one.load:.3f} processes a cpu; {one.asked:.1f} asked in {one.rounds:.2f} rounds;"
                    f" by memory alone {one.remembered_points:.2f}, as many at random {one.chance_points:.2f}",
                )
    for clients in (8, 32, 100):
        most, alone, asked = crowd(clients=clients, nodes=32, seed=1)
        yield Figure(
            name=f"{clients} at once, who remember the same of 32 nodes",
            value=most,
            unit="processes on the fullest node",
            note=f"{alone:g} if one client placed all jobs; each asks {asked:.1f} nodes",
        )


def _loads(history: History, age_s: float, rng: Random) -> tuple[int, int]:
    """The load of one node as it is remembered, and `age_s` later."""
    mean = CPUS * history.busy * max(0.05, rng.gauss(1.0, history.spread))
    stays = math.exp(-age_s / history.memory_s)
    before = _poisson(mean, rng)
    return before, sum(rng.random() < stays for _ in range(before)) + _poisson(mean * (1 - stays), rng)


def _poisson(mean: float, rng: Random) -> int:
    """By Knuth's product of uniforms; the means are small."""
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count, product = count + 1, product * rng.random()
    return count


def _answers(loads: Sequence[float]) -> list[Measured]:
    return [
        node(f"n{number}", cpus=CPUS, r1m=float(load), ut=min(100.0, 100.0 * load / CPUS))
        for number, load in enumerate(loads)
    ]


def _memory(loads: Sequence[float], age_s: float) -> Memory:
    answers = tuple(_answers(loads))
    return Memory(answers=answers, age_s={answer.node: age_s for answer in answers}, within_s=_WITHIN_S)


def _points(answers: Iterable[Measured], rng: Random) -> float:
    """The score of the best of them; 0 if none fits."""
    plan = place(Snapshot(taken_at=_NOW, answers=tuple(answers)), _REQUEST, LEAST, _NOW, rng)
    return plan.ranked[0].total if plan.ranked else 0.0


MEASUREMENTS = (Measurement("few", "the regret of asking few nodes, over load histories and ages", few),)
