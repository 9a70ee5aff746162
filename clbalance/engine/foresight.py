"""What is expected of nodes, by what the store has of them (docs/design/forecast.md). Forecasts rank, and warn."""

from collections.abc import Sequence
from dataclasses import replace

from clbalance.engine.services import Services
from clbalance.model import Answer, Measured, NodeName, Snapshot
from clbalance.model.forecast import NodeForecast
from clbalance.policy.forecast.node import Outlook, peaks_of_node
from clbalance.policy.placement.policies import Policy


def as_policy_foresees(services: Services, snapshot: Snapshot, policy: Policy) -> Snapshot:
    """The snapshot with the forecasts that the policy weighs; as it is, if it weighs none."""
    return foreseen(services, snapshot, policy.ahead_s) if policy.weights.forecast else snapshot


def foreseen(services: Services, snapshot: Snapshot, ahead_s: float) -> Snapshot:
    """The snapshot, with what is expected of its nodes in so many seconds. As it is, if the store cannot be read."""
    return replace(snapshot, answers=tuple(foreseen_answers(services, snapshot.answers, ahead_s)))


def foreseen_answers(services: Services, answers: Sequence[Answer], ahead_s: float) -> Sequence[Answer]:
    """The same of answers."""
    states = _states(services, [one.node for one in answers if isinstance(one, Measured)])
    at_s = services.clock.now().timestamp() + ahead_s
    return [
        replace(one, expected=Outlook(states[one.node], at_s))
        if isinstance(one, Measured) and one.node in states
        else one
        for one in answers
    ]


def forecasts_of(services: Services, nodes: Sequence[NodeName], ahead_s: float) -> dict[NodeName, NodeForecast]:
    """What is expected of these nodes, of those that have been asked before."""
    at_s = services.clock.now().timestamp() + ahead_s
    return {
        node: NodeForecast(expected=Outlook(state, at_s), peaks=peaks_of_node(state, at_s))
        for node, state in _states(services, nodes).items()
    }


def _states(services: Services, nodes: Sequence[NodeName]) -> dict[NodeName, bytes]:
    found: dict[NodeName, bytes] = {}
    with services.without_store():
        found |= services.store.forecasts(nodes)
    return found
