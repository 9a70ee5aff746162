"""Levels of the nodes of a pool, which of them are overloaded, and how level the pool can become. Pure.

    used = Σ cpus of leases + max(0, r1m - visible - departed)     in cpus; level = used / (cpus * cpu factor)

`departed` is what the run queue still shows of jobs that have just left. The allowance for an idle node's own load
(`placement/load.py`, `NOISE_CPUS`) is not subtracted here. It lets admission give out the last cpu of an idle node.
Here levels are only compared: it would be subtracted from every node alike, and a node with 2 cpus of load without a
lease would seem to have room for half a cpu more than it has.
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
from clbalance.policy.slurm.nodes import why_no_jobs

ROUNDING = 9
"""Digits to round cpus to, so that the order of a sum does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """The use of a node with a known load, in cpus."""

    node: NodeName
    capacity: float
    """Its cpus times its cpu factor."""
    allocated: float
    excess: float
    """Use without an allocation: by processes without a lease, and by jobs above their request."""
    drained: bool
    """Drained, or Slurm gives it no jobs: it takes none, and those there are left to `drain`; it is not part of the
    pool."""

    @property
    def used(self) -> float:
        """Allocated and other use together."""
        return self.allocated + self.excess

    @property
    def level(self) -> float:
        """Use divided by capacity."""
        return self.used / self.capacity


def after_departures(snapshot: Snapshot, departures: Iterable[Departure]) -> Snapshot:
    """The nodes by name, without the load that their run queues still show of departed jobs."""
    progress: dict[NodeName, list[float]] = {}
    for departure in departures:
        progress.setdefault(departure.node, []).append(_rest(departure))
    answers = sorted(snapshot.answers, key=lambda answer: answer.node)
    # Rounded sums of sorted numbers, so that the order of departures does not matter.
    return replace(
        snapshot, answers=tuple(_without(answer, math.fsum(progress.get(answer.node, ()))) for answer in answers)
    )


def use_of(answer: Answer) -> Use | Unknown:
    """The use of a node after `after_departures`, or why it is unknown."""
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
        drained=binding_drain(answer.reading) is not None or bool(why_no_jobs(answer.slurm)),
    )


def _allocated(load: NodeLoad) -> float:
    """Allocated cpus; a lease counts for at most the whole node, and an unreadable one for all of it."""
    leases = load.answer.reading.leases
    assert not isinstance(leases, Unknown)
    held = [lease.allocation.cpus if isinstance(lease.allocation, Allocation) else load.cpus for lease in leases]
    return math.fsum(min(cpus, load.cpus) for cpus in (*held, *(allocation.cpus for allocation in load.answer.placed)))


def _rest(departure: Departure) -> float:
    """The part of its cpus that r1m still shows. Clocks jump, so negative times count as 0."""
    shown = departure.cpus * -math.expm1(-max(0.0, departure.age_s) / TAU_S)
    return shown * math.exp(-max(0.0, departure.seconds_ago) / TAU_S)


def _without(answer: Answer, rest_cpus: float) -> Answer:
    return with_r1m_less(answer, rest_cpus) if isinstance(answer, Measured) and rest_cpus else answer


def with_r1m_less(answer: Measured, cpus: float) -> Measured:
    """The node with `cpus` less in its run queue average."""
    queue = answer.reading.run_queue
    if isinstance(queue, Unknown):
        return answer
    less = RunQueue(r1m=max(0.0, queue.r1m - cpus), r5m=queue.r5m, r15m=queue.r15m, rq=queue.rq)
    return replace(answer, reading=replace(answer.reading, run_queue=less))


# -- a pool: mean, score, and overloaded nodes
#
# Nodes are weighted by capacity. So a migration does not change the mean, and the score falls exactly if the two nodes
# of a migration become more alike, whatever the other nodes are like.

EPSILON = 1e-6
"""Levels that differ by less are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool; its answers are by name, without departed jobs. `members` give and take jobs; `unknown` have no level."""

    snapshot: Snapshot
    members: tuple[Use, ...]
    drained: tuple[Use, ...]
    unknown: tuple[tuple[NodeName, Unknown], ...]
    mean: float
    stale: bool
    """The snapshot is too old, so no node counts as overloaded."""

    @classmethod
    def of(cls, snapshot: Snapshot, departures: Iterable[Departure], policy: Policy, now: datetime) -> "Pool":
        """The pool of a sweep."""
        still = after_departures(snapshot, departures)
        found = [(answer.node, use_of(answer)) for answer in still.answers]
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
    """The nodes that are overloaded in this sweep. The caller counts runs in a row to confirm them."""
    pool = Pool.of(snapshot, departures, policy, now)
    return frozenset(use.node for use in pool.members if not pool.stale and is_over(use.level, pool.mean, settings))


def is_over(level: float, mean: float, settings: BalanceSettings) -> bool:
    """Above `high`, or by more than `deviation` above the mean."""
    is_high = settings.high is not None and level > settings.high + EPSILON
    return is_high or (settings.deviation is not None and level > mean + settings.deviation + EPSILON)


def mean_of(used: Sequence[float], capacity: Sequence[float]) -> float:
    """Mean level, weighted by capacity; 0 without nodes."""
    return math.fsum(used) / math.fsum(capacity) if capacity else 0.0


def score_of(used: Sequence[float], capacity: Sequence[float]) -> float:
    """Standard deviation of the levels, weighted by capacity; 0 without nodes."""
    if not capacity:
        return 0.0
    mean = mean_of(used, capacity)
    squares = math.fsum(have * (cpus / have - mean) ** 2 for cpus, have in zip(used, capacity, strict=True))
    return math.sqrt(squares / math.fsum(capacity))


# -- a lower bound of the largest level, to judge plans by
#
# The largest level is at least: the mean; the level of each node's fixed load; the lowest level of any node that takes
# the largest job; and, for the k largest jobs, the level at which the nodes together hold k jobs of the smallest size.

_MOST_SIZES = 32
"""Number of values of k to try, evenly spread: each costs a pass over all nodes."""
_HALVINGS = 40


def lower_bound(fixed: Sequence[float], capacity: Sequence[float], weights: Sequence[float]) -> float:
    """Lower bound of the largest level, if `fixed` cpus stay on each node and jobs of `weights` may go anywhere."""
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
    """The level at which the nodes together hold `count` jobs of `weight`, but at least `bound`."""

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
