"""Why a job is not started again on a node while others fit, in the words of `explain`. Pure."""

from clbalance.job import Cancelled, End, NodeFailed, NotStarted
from clbalance.policy.moved import was_moved

MOVED_AWAY = "it was moved away from there"


def why_elsewhere(end: End) -> str:
    """What there was on the node where an attempt has ended so."""
    match end:
        case NodeFailed():
            return "the node failed under it"
        case NotStarted():
            return "it could not start there"
        case Cancelled(why=why):
            return MOVED_AWAY if was_moved(why) else "it was ended there"
        case _:
            return "it failed there"
