"""The one word that `load` says of a node, and why."""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from clbalance.model import Answer, Cause, Measured, Silent, Unknown
from clbalance.policy.effective import effective_load
from clbalance.policy.thresholds import Thresholds, breaches, limits_of


class NodeState(StrEnum):
    """What may be expected of a node."""

    UP = "up"
    BUSY = "busy"
    """Past a threshold: it works, and takes no more."""
    DRAINING = "draining"
    DRAINED = "drained"
    SUSPECT = "suspect"
    UNKNOWN = "unknown"
    """It did not answer, or not what must be known to place on it."""
    DOWN = "down"
    """It cannot be reached at all, which is more than not answering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A node's state, its reason where there is one to tell, and the indices that are past their limit."""

    state: NodeState
    reason: str | None = None
    violated: frozenset[str] = frozenset()


_NO_WAY_IN = frozenset({Cause.DNS, Cause.UNREACHABLE, Cause.REFUSED})


def node_state(answer: Answer, thresholds: Thresholds) -> Condition:
    """How a node is to be shown; placement uses it only if this is `UP`."""
    match answer:
        case Silent(cause=cause, why=why):
            state = NodeState.DOWN if cause in _NO_WAY_IN else NodeState.UNKNOWN
            return Condition(state=state, reason=cause.because(why))
        case Measured():
            return _measured_state(answer, thresholds)
        case _:
            assert_never(answer)


def _measured_state(answer: Measured, thresholds: Thresholds) -> Condition:
    load = effective_load(answer)
    if isinstance(load, Unknown):
        return Condition(state=NodeState.UNKNOWN, reason=f"load unknown: {load.why}")
    found = breaches(load, limits_of(thresholds))
    if not found:
        return Condition(state=NodeState.UP)
    past = [breach for breach in found if breach.known]
    return Condition(
        state=NodeState.BUSY if past else NodeState.UNKNOWN,
        reason=", ".join(breach.detail for breach in past or found),
        violated=frozenset(breach.index for breach in past),
    )
