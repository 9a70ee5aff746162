"""Why a job on a node that has too much stays there after all."""

from clbalance.policy.rebalance.levelling import Levelling
from clbalance.policy.rebalance.movers import Mover
from clbalance.policy.rebalance.pool import EPSILON


def why_it_stays(field: Levelling, mover: Mover) -> str:
    """What stands against it at the end of the plan, first what stands against each move of it."""
    src, weight = mover.job.node, mover.weight
    if weight <= EPSILON:
        return "it takes no cpus that were promised or measured"
    targets = [node for _, node in field.targets(src)]
    if not targets:
        return "no node has less than this one"
    # Of equal nodes the lowest is the best.
    lowest = {field.capacity[node]: node for node in reversed(targets)}
    if all(field.gain_of_move(src, node, weight) is None for node in lowest.values()):
        return "no move of it makes the nodes more alike by enough"
    worth = [node for node in targets if field.gain_of_move(src, node, weight) is not None]
    new = [node for node in worth if field.may(mover, node)]
    if not new:
        return "it has been on every node where it would help"
    meant = [node for node in new if node not in mover.job.not_meant]
    if not meant:
        return "it was not submitted for the nodes where it would help"
    reasons = [None if (unfit := field.rooms.unfit(mover, node)) is None else unfit.reason for node in meant]
    return "after as many moves as are allowed" if None in reasons else f"no place: {meant[0]} {reasons[0]}"
