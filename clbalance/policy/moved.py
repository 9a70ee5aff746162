"""What the end of an attempt means while its move is meant. Pure (docs/design/rebalance.md)."""

from clbalance.job import Cancelled, End, Exited, Killed, Tries
from clbalance.moves import MoveOrder, MoveStage

CHECKPOINTED = 85
"""HTCondor's code for "I have checkpointed, start me again"."""
IN_VAIN = "it did not checkpoint in time"
"""Why a move is off whose signal has reached the job: what comes of it late counts all the same."""

_MOVED = "moved to "
_WHY_CHARS = 200  # what a node keeps of the reason for an end


def why_stopped(order: MoveOrder) -> str:
    """What the node is told, and tells again as the reason of the end."""
    return f"{_MOVED}{order.dst}: {order.why}"[:_WHY_CHARS]


def was_moved(why: str) -> bool:
    """Whether a copy was ended for that, by the reason that its node tells."""
    return why.startswith(_MOVED)


def goes_on(end: End, order: MoveOrder | None, tries: Tries) -> bool:
    """Whether a job that has ended so is started elsewhere, because of a move of just that attempt.

    Exit 0 is its own end, and any other that is not of our making its own failure.
    """
    if order is None:
        return False
    if order.stage is MoveStage.OFF:
        return tries.checkpoint is not None and order.told == IN_VAIN and end == Exited(rc=CHECKPOINTED)
    return order.stage is MoveStage.MEANT and _is_of_our_making(end, tries)


def _is_of_our_making(end: End, tries: Tries) -> bool:
    if isinstance(end, Cancelled):
        return was_moved(end.why)  # perhaps to another node, by who died since
    return asked_to_go_on(end, tries)


def asked_to_go_on(end: End, tries: Tries) -> bool:
    """Whether a job that was told to checkpoint has ended for that: it says so, or the signal has ended it."""
    if tries.checkpoint is None:
        return False
    number = tries.checkpoint.signal
    return end in (Exited(rc=CHECKPOINTED), Killed(signal=number), Exited(rc=128 + number))
