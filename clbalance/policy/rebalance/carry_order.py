"""In which order jobs go, so that each finds room when its turn comes: nobody waits on the way."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from clbalance.model import NodeName
from clbalance.policy.rebalance.movers import Mover
from clbalance.policy.rebalance.rooms import Rooms

Step: TypeAlias = tuple[Mover, NodeName]
"""One job to one node."""

_MOST_TO_TRY: Final = 8
"""Of so many steps every order is tried, if need be; more are taken as they come."""


def in_order(wanted: Sequence[Step], rooms: Rooms) -> tuple[Step, ...] | None:
    """The first order in which there is room for each; None: there is none, or it was not found."""
    if len(wanted) <= _MOST_TO_TRY:
        return _tried(tuple(wanted), rooms, set())
    waiting = list(wanted)
    ordered: list[Step] = []
    while waiting:
        step = next((one for one in waiting if rooms.unfit(*one) is None), None)
        if step is None:
            return None
        rooms.carry(*step)
        waiting.remove(step)
        ordered.append(step)
    return tuple(ordered)


def _tried(waiting: tuple[Step, ...], rooms: Rooms, in_vain: set[tuple[Step, ...]]) -> tuple[Step, ...] | None:
    """Depth first. What room there is depends on who waits, not on the order in which the others went."""
    if not waiting:
        return ()
    if waiting in in_vain:
        return None
    for at, step in enumerate(waiting):
        if rooms.unfit(*step) is None:
            carried = rooms.carry(*step)
            rest = _tried((*waiting[:at], *waiting[at + 1 :]), rooms, in_vain)
            rooms.undo(carried)
            if rest is not None:
                return (step, *rest)
    in_vain.add(waiting)
    return None
