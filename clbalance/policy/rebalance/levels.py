"""How loaded the nodes of a pool are against each other, which are over, and how level they can become.

    used = Σ cpus of leases + max(0, r1m - visible - what has just left)     in cpus; level = used / (cpus * cpu factor)

The half process that admission leaves to strangers (`room.NOISE_CPUS`) is not taken off here. There it decides
whether the last cpu of an idle node can be had; here levels are only compared, it would come off every node alike,
and two nodes of which strangers use 2 cpus would look as if they had room for half a job more than they have.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Answer, Measured, NodeName, Request, RunQueue, Silent, Snapshot, Unknown
from clbalance.policy.allocations import TAU_S, binding_drain
from clbalance.policy.placement.filters import filter_input
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import Policy
from clbalance.policy.rebalance.values import BalanceSettings, Departure

ROUNDING = 9
"""Digits of a cpu: sums of the same promises in another order are then the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A node whose load is known, in cpus."""

    node: NodeName
    capacity: float
    """Its cpus times its cpu factor."""
    allocated: float
    excess: float
    """What is used and was not promised: by strangers, and by jobs above their promise."""
    drained: bool
    """It takes nothing, and what is to leave it is `drain`'s: it is not of the pool."""

    @property
    def used(self) -> float:
        """All of it."""
        return self.allocated + self.excess

    @property
    def level(self) -> float:
        """Per cpu."""
        return self.used / self.capacity


def after_departures(snapshot: Snapshot, departures: Iterable[Departure]) -> Snapshot:
    """The nodes by name, without what their run queues still show of jobs that have left."""
    progress: dict[NodeName, list[float]] = {}
    for departure in departures:
        progress.setdefault(departure.node, []).append(_rest(departure))
    answers = sorted(snapshot.answers, key=lambda answer: answer.node)
    # Rounded sums of sorted numbers: the order in which departures are told does not matter.
    return replace(
        snapshot, answers=tuple(_without(answer, math.fsum(progress.get(answer.node, ()))) for answer in answers)
    )


def use_of(answer: Answer, now: datetime) -> Use | Unknown:
    """What counts of a node whose departures are settled, or why nothing can be said of it."""
    if isinstance(answer, Silent):
        return Unknown(reason=answer.cause.because(answer.reason))
    load = effective_load(answer)
    if isinstance(load, Unknown):
        return load
    if isinstance(answer.reading.leases, Unknown):
        return Unknown(reason=f"leases: {answer.reading.leases.reason}")
    return Use(
        node=answer.node,
        capacity=load.cpus * answer.cpu_factor,
        allocated=round(_allocated(load), ROUNDING),
        excess=round(max(0.0, load.r1m - load.allocations.reflected_cpus), ROUNDING),
        drained=binding_drain(answer.reading, now) is not None,
    )


def _allocated(load: NodeLoad) -> float:
    """No lease counts for more than the node has, and one that cannot be read for all of it."""
    leases = load.answer.reading.leases
    assert not isinstance(leases, Unknown)
    held = [lease.allocation.cpus if isinstance(lease.allocation, Allocation) else load.cpus for lease in leases]
    return math.fsum(min(cpus, load.cpus) for cpus in (*held, *(allocation.cpus for allocation in load.answer.placed)))


def _rest(departure: Departure) -> float:
    """What r1m still shows of it. Clocks jump: neither time is negative."""
    shown = departure.cpus * -math.expm1(-max(0.0, departure.age_s) / TAU_S)
    return shown * math.exp(-max(0.0, departure.seconds_ago) / TAU_S)


def _without(answer: Answer, rest_cpus: float) -> Answer:
    return with_r1m_less(answer, rest_cpus) if isinstance(answer, Measured) and rest_cpus else answer


def with_r1m_less(answer: Measured, cpus: float) -> Measured:
    """The node as if so much had never been in its run queue."""
    queue = answer.reading.run_queue
    if isinstance(queue, Unknown):
        return answer
    less = RunQueue(r1m=max(0.0, queue.r1m - cpus), r5m=queue.r5m, r15m=queue.r15m, rq=queue.rq)
    return replace(answer, reading=replace(answer.reading, run_queue=less))


# The nodes of one pool against each other: their mean, how uneven they are, and which are over.
#
# Each counts by its capacity. So a move changes no mean, for what leaves one node is on another; and the score falls
# exactly where the two nodes that a move concerns become more alike, whatever the others are like.

EPSILON = 1e-6
"""Levels that differ by less are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """`answers` are settled and by name; `members` are those that give and take, `unknown` why others have no level."""

    snapshot: Snapshot
    members: tuple[Use, ...]
    drained: tuple[Use, ...]
    unknown: tuple[tuple[NodeName, Unknown], ...]
    mean: float
    stale: bool
    """It says nothing about now, so nobody is over."""

    @classmethod
    def of(cls, snapshot: Snapshot, departures: Iterable[Departure], policy: Policy, now: datetime) -> "Pool":
        """A sweep as a pool."""
        still = after_departures(snapshot, departures)
        found = [(answer.node, use_of(answer, now)) for answer in still.answers]
        uses = [use for _, use in found if isinstance(use, Use)]
        members = tuple(use for use in uses if not use.drained)
        return cls(
            snapshot=still,
            members=members,
            drained=tuple(use for use in uses if use.drained),
            unknown=tuple((node, use) for node, use in found if isinstance(use, Unknown)),
            mean=mean_of([use.used for use in members], [use.capacity for use in members]),
            stale=filter_input(snapshot, Request(), policy, now).stale is not None,
        )


def over_nodes(
    snapshot: Snapshot, departures: Iterable[Departure], settings: BalanceSettings, policy: Policy, now: datetime
) -> frozenset[NodeName]:
    """The nodes that have too much as of this sweep; who counts them from run to run knows which are confirmed."""
    pool = Pool.of(snapshot, departures, policy, now)
    return frozenset(use.node for use in pool.members if not pool.stale and is_over(use.level, pool.mean, settings))


def is_over(level: float, mean: float, settings: BalanceSettings) -> bool:
    """Above `high`, or by more than `deviation` above the mean."""
    is_high = settings.high is not None and level > settings.high + EPSILON
    return is_high or (settings.deviation is not None and level > mean + settings.deviation + EPSILON)


def mean_of(used: Sequence[float], capacity: Sequence[float]) -> float:
    """Of all their cpus; 0 of no nodes."""
    return math.fsum(used) / math.fsum(capacity) if capacity else 0.0


def score_of(used: Sequence[float], capacity: Sequence[float]) -> float:
    """Standard deviation of the levels, in which each cpu counts alike; 0 of no nodes."""
    if not capacity:
        return 0.0
    mean = mean_of(used, capacity)
    squares = math.fsum(have * (cpus / have - mean) ** 2 for cpus, have in zip(used, capacity, strict=True))
    return math.sqrt(squares / math.fsum(capacity))


# How level a pool can become at best: what no plan can beat, for a plan to be told by.
#
# No level is below the mean; below what cannot be moved off its node; below what the largest job makes of the node that
# it loads least; nor below what it takes for some node to hold one of the k largest jobs more than its share.

_MOST_SIZES = 32
"""Sizes of jobs of which the last is asked, evenly spread: each costs a look at all nodes."""
_HALVINGS = 40


def lower_bound(fixed: Sequence[float], capacity: Sequence[float], weights: Sequence[float]) -> float:
    """Of the largest level, where `fixed` cpus stay on each node and jobs of these weights go anywhere."""
    if not capacity:
        return 0.0
    total = math.fsum(fixed) + math.fsum(weights)
    bound = max(total / math.fsum(capacity), *[cpus / have for cpus, have in zip(fixed, capacity, strict=True)])
    falling = sorted((weight for weight in weights if weight > 0.0), reverse=True)
    last_of_size = [at for at, weight in enumerate(falling) if falling[at + 1 : at + 2] != [weight]]
    step = max(1, math.ceil(len(last_of_size) / _MOST_SIZES))
    for at in last_of_size[::step]:
        bound = _for_as_many(at + 1, falling[at], bound, fixed, capacity)
    return bound


def _for_as_many(count: int, weight: float, bound: float, fixed: Sequence[float], capacity: Sequence[float]) -> float:
    """The level at which the nodes hold `count` jobs of this weight, if that is above `bound`."""

    def hold(level: float) -> bool:
        room = [math.floor((level * have - cpus) / weight + 1e-9) for cpus, have in zip(fixed, capacity, strict=True)]
        return sum(max(0, jobs) for jobs in room) >= count

    if hold(bound):
        return bound
    below, above = bound, bound + count * weight / max(capacity)
    for _ in range(_HALVINGS):
        middle = (below + above) / 2.0
        below, above = (below, middle) if hold(middle) else (middle, above)
    return below
