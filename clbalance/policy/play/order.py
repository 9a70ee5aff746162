"""The order in which nodes have their turns, each with the reason that the plan shows. Pure.

    level = (cpus of leases + load without a lease) / cpus, as `rebalance` compares nodes

Nodes without a known level come last: nothing is known of them, and they may be back when their turn comes.
"""

from collections.abc import Sequence
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Measured, NodeName, Silent, Snapshot, Unknown
from clbalance.model.playbook import NodeOrder
from clbalance.policy.allocations import binding_drain, drain_reason
from clbalance.policy.placement.select import Rng
from clbalance.policy.rebalance.levels import use_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlace:
    """One node in the order of turns. `level` None: unknown, and `reason` says why."""

    node: NodeName
    reason: str
    level: float | None = None
    jobs: int | None = None
    """How many jobs hold leases there; None: unknown."""
    drained: str = ""
    """The reason of a drain mark that binds us; empty: none."""


def order_of_turns(snapshot: Snapshot, order: NodeOrder, rng: Rng) -> tuple[NodePlace, ...]:
    """All nodes of the snapshot. Equals stay in its order, which is that of names."""
    places = [_place(answer, snapshot.taken_at) for answer in snapshot.answers]
    known = [one for one in places if one.level is not None]
    unknown = [one for one in places if one.level is None]
    return (*_ordered(known, order, rng), *unknown)


def _ordered(places: Sequence[NodePlace], order: NodeOrder, rng: Rng) -> list[NodePlace]:
    match order:
        case NodeOrder.NAME:
            return list(places)
        case NodeOrder.RANDOM:
            return [place for _, _, place in sorted((rng.random(), at, place) for at, place in enumerate(places))]
        case NodeOrder.LEAST | NodeOrder.MOST:
            return sorted(places, key=_level, reverse=order is NodeOrder.MOST)


def _level(place: NodePlace) -> float:
    return place.level or 0.0


def _place(answer: Answer, now: datetime) -> NodePlace:
    use = use_of(answer)
    if isinstance(use, Unknown) or isinstance(answer, Silent):
        reason = use.reason if isinstance(use, Unknown) else ""
        return NodePlace(node=answer.node, reason=f"last, its load is unknown: {reason}")
    return NodePlace(
        node=answer.node,
        reason=f"load {use.level:.2f}",
        level=use.level,
        jobs=_jobs(answer),
        drained="" if (mark := binding_drain(answer.reading)) is None else drain_reason(mark, now),
    )


def _jobs(answer: Measured) -> int | None:
    leases = answer.reading.leases
    return None if isinstance(leases, Unknown) else len({(one.uid, one.key) for one in leases})
