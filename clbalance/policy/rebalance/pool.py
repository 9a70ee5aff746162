"""The nodes of one pool against each other: their mean, how uneven they are, and which are over.

Each counts by its capacity. So a move changes no mean, for what leaves one node is on another; and the score falls
exactly where the two nodes that a move concerns become more alike, whatever the others are like.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Request, Snapshot, Unknown
from clbalance.policy.filter import asked_of
from clbalance.policy.policies import Policy
from clbalance.policy.rebalance.load import Use, settled, use_of
from clbalance.policy.rebalance.values import Departure, Levels

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
        still = settled(snapshot, departures)
        found = [(answer.node, use_of(answer, now)) for answer in still.answers]
        uses = [use for _, use in found if isinstance(use, Use)]
        members = tuple(use for use in uses if not use.drained)
        return cls(
            snapshot=still,
            members=members,
            drained=tuple(use for use in uses if use.drained),
            unknown=tuple((node, use) for node, use in found if isinstance(use, Unknown)),
            mean=mean_of([use.used for use in members], [use.capacity for use in members]),
            stale=asked_of(snapshot, Request(), policy, now).stale is not None,
        )


def over_nodes(
    snapshot: Snapshot, departures: Iterable[Departure], levels: Levels, policy: Policy, now: datetime
) -> frozenset[NodeName]:
    """The nodes that have too much as of this sweep; who counts them from run to run knows which are confirmed."""
    pool = Pool.of(snapshot, departures, policy, now)
    return frozenset(use.node for use in pool.members if not pool.stale and is_over(use.level, pool.mean, levels))


def is_over(level: float, mean: float, levels: Levels) -> bool:
    """Above `high`, or by more than `deviation` above the mean."""
    is_high = levels.high is not None and level > levels.high + EPSILON
    return is_high or (levels.deviation is not None and level > mean + levels.deviation + EPSILON)


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
