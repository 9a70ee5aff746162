"""The one job whose move helps a source most.

Whose turn comes first is asked first: as long as one of them gains enough, no other is looked at.
"""

from clbalance.model import NodeName
from clbalance.policy.rebalance.levelling import Chain, Levelling
from clbalance.policy.rebalance.movers import Mover, Turn
from clbalance.policy.rebalance.pool import EPSILON


def best_move(field: Levelling, src: NodeName) -> Chain | None:
    """Where the score falls most among the jobs whose turn it is; of equals the youngest job to the lowest target."""
    targets = field.targets(src)
    for turn in Turn if targets else ():
        movers = [mover for mover in field.movers[src] if mover.turn is turn and mover.weight > EPSILON]
        if movers and (found := _best_of(field, src, movers, targets)):
            return found
    return None


def _best_of(
    field: Levelling, src: NodeName, movers: list[Mover], targets: list[tuple[float, NodeName]]
) -> Chain | None:
    best: Chain | None = None
    most = 0.0
    of, have, capacity = field.level[src], field.capacity[src], field.capacity
    for mover in movers:
        weight = mover.weight
        if weight / have < field.min_gain - EPSILON:  # its source gains no more than that
            continue
        for to, dst in targets:
            # What the sum of squares falls by, at most: targets rise, so none behind this one can do better.
            at_most = weight * (2.0 * (of - to) - weight / have)
            if at_most <= most + EPSILON:
                break
            fall = at_most - weight * weight / capacity[dst]
            if fall <= most + EPSILON or (gain := field.gain_of_move(src, dst, weight)) is None:
                continue
            order = field.order_with_one(mover, dst) if field.may(mover, dst) else None
            if order is not None:
                best, most = Chain(src, ((mover, dst),), gain, order), fall
    return best
