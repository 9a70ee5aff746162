"""Limits over node sets: a job that its nodes have admitted is counted on the whole set before it is started.

    admitted on all its nodes → sweep the set → within the limit: start │ beyond it: look again, then give all back

The leases are the proposals of this protocol (docs/design/fair-share.md): whoever has got the last of them sees those
of all others in the sweep that follows. So jobs that are started never exceed the limit together.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from clbalance.engine.agent.protocol import SetLimit
from clbalance.engine.services import Services
from clbalance.engine.sweep import sweep
from clbalance.errors import NodeNameError
from clbalance.model import Measured, NodeLimits, NodeName
from clbalance.nodeset import NodeSets
from clbalance.policy.node_limits import SetUse, use_of_set

_AGAIN_S: Final = 0.3
"""Between two looks at what others may give back."""
_PATIENCE_S: Final = 4.0
"""From the first look, at most. It differs from job to job, so that of several that keep each other out one is left."""

_MOST_NODES: Final = 4096
"""A set is swept as a node has told it, and a node may tell anything."""


def count_sets(
    services: Services,
    limits: Sequence[SetLimit],
    key: str,
    chosen: Sequence[NodeName],
    answers: Mapping[NodeName, Measured],
) -> dict[NodeName, str]:
    """Why the job may not start; empty: it may. `key`: of the job, whose leases on `chosen` are counted, too.

    The reason stands at all nodes that have told the same limit in `answers`: they need not be asked any more.
    """
    for limit in limits:
        try:
            nodes = NodeSets(None).expand(limit.nodes)
        except NodeNameError as error:
            return dict.fromkeys(chosen, f"{limit.said}: {error.message} ({limit.where})")
        reason = _why_not(services, limit, key, chosen, nodes)
        if reason:
            alike = [node for node in nodes if _has_told(answers.get(node), limit)]
            return dict.fromkeys((*chosen, *alike), f"{limit.said}: {reason} ({limit.where})")
    return {}


def _has_told(answer: Measured | None, limit: SetLimit) -> bool:
    """Whether a node itself has limits over that set. What another node says of it does not count."""
    limits = None if answer is None else answer.reading.limits
    return isinstance(limits, NodeLimits) and limit.nodes in limits.text


def _why_not(
    services: Services, limit: SetLimit, key: str, chosen: Sequence[NodeName], nodes: Sequence[NodeName]
) -> str:
    if strange := [node for node in chosen if node not in nodes]:
        return f"{strange[0]} has this limit, and is not of the set"
    if len(nodes) > _MOST_NODES:
        return f"the set has more than {_MOST_NODES} nodes"
    give_up_at = services.clock.monotonic() + _PATIENCE_S * int(key[:8], 16) / 2**32
    while True:
        use = _look(services, limit, key, len(chosen), nodes)
        if use.fits(limit.most):
            return ""
        if not use.may_shrink(limit.most) or services.clock.monotonic() >= give_up_at:
            return use.reason
        services.clock.pause(_AGAIN_S)


def _look(services: Services, limit: SetLimit, key: str, copies: int, nodes: Sequence[NodeName]) -> SetUse:
    with services.transport.sessions() as sessions:
        return use_of_set(sweep(services, sessions, nodes), limit.name, key, copies)
