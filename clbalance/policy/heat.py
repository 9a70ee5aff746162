"""A map of nodes by their load: the band of each node, and the nodes that stand together. Pure."""

import re
from collections.abc import Iterable, Mapping
from enum import Enum

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Measured, NodeName, Unknown
from clbalance.natural_order import natural_order
from clbalance.policy.indices import readers
from clbalance.policy.indices.row import AnsweredNode
from clbalance.policy.placement.explain import NodeState
from clbalance.policy.placement.quorum import was_not_awaited


class Band(Enum):
    """What a map says of a node: how loaded each of its cpus is, or why that does not count."""

    IDLE = "<0.1"
    LIGHT = "<0.5"
    HALF = "<0.8"
    HIGH = "<1"
    FULL = ">=1"
    AWAITED = "no answer yet"
    SILENT = "no answer"
    SUSPECT = "suspect"
    DRAINED = "drained or draining"
    UNFIT = "unfit for jobs"
    UNKNOWN = "load unknown"


_BELOW = ((0.1, Band.IDLE), (0.5, Band.LIGHT), (0.8, Band.HALF), (1.0, Band.HIGH))
LOAD_BANDS = (*(band for _, band in _BELOW), Band.FULL)
"""From the lowest to the highest."""
_OF_STATE = {
    NodeState.SUSPECT: Band.SUSPECT,
    NodeState.DRAINED: Band.DRAINED,
    NodeState.DRAINING: Band.DRAINED,
    NodeState.UNFIT: Band.UNFIT,
}


def band_of(answer: Answer, state: str) -> Band:
    """The band of a node in this state (`node_state`). Only a known load has one of the load bands."""
    if was_not_awaited(answer):
        return Band.AWAITED
    of_state = _OF_STATE.get(NodeState(state))
    if of_state is not None or not isinstance(answer, Measured):
        return of_state or Band.SILENT
    load = readers.load_per_cpu(AnsweredNode.of(answer))
    if isinstance(load, Unknown):
        return Band.UNKNOWN
    return next((band for below, band in _BELOW if load < below), Band.FULL)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """Nodes that stand together in a map."""

    label: str
    nodes: tuple[NodeName, ...]


_LAST_NUMBER = re.compile(r"[0-9]+(?=[^0-9]*$)")
ALONE = "others"
"""The label of nodes whose names are like no other's."""


def by_label(nodes: Iterable[NodeName], labels: Mapping[NodeName, str]) -> list[NodeGroup]:
    """Nodes with the same value of a label, in natural order of the values; those without it come last."""
    found: dict[str, list[NodeName]] = {}
    for node in nodes:
        found.setdefault(labels.get(node, ""), []).append(node)
    without = found.pop("", [])
    groups = [_group(label, found[label]) for label in sorted(found, key=natural_order)]
    return [*groups, _group("no label", without)] if without else groups


def by_name(nodes: Iterable[NodeName]) -> list[NodeGroup]:
    """Nodes whose names differ in the last number of their host part only: `r1n1` and `r1n2`, but not `r2n1`."""
    found: dict[str, list[NodeName]] = {}
    for node in nodes:
        found.setdefault(name_pattern(node), []).append(node)
    alone = [same[0] for same in found.values() if len(same) == 1]
    groups = [_group(one, found[one]) for one in sorted(found, key=natural_order) if len(found[one]) > 1]
    return [*groups, _group(ALONE, alone)] if alone else groups


def name_pattern(node: str) -> str:
    """The name with a `*` for the number in which it differs from those of its neighbours."""
    host, dot, domain = node.partition(".")
    if host.isdecimal() or ":" in node:  # an address
        return _LAST_NUMBER.sub("*", node)
    return _LAST_NUMBER.sub("*", host) + dot + domain


def _group(label: str, nodes: list[NodeName]) -> NodeGroup:
    return NodeGroup(label=label, nodes=tuple(sorted(nodes, key=natural_order)))
