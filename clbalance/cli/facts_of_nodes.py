"""What the settings tell of nodes, by node. Each set of `[[nodes]]` is read once; a wrong one is told with its file."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from clbalance.errors import NodeNameError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodes import NodeSets
from clbalance.settings.values import NodeFacts, Settings

_Fact = TypeVar("_Fact", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldNodes:
    """One `[[nodes]]` table, and the nodes of its set."""

    facts: NodeFacts
    nodes: tuple[NodeName, ...]


def told_nodes(settings: Settings, sets: NodeSets) -> tuple[ToldNodes, ...]:
    """Every table, also one that tells nothing. `SettingsError` for a set that is none, and for an unknown group."""
    return tuple(ToldNodes(facts=facts, nodes=_nodes_of(facts, sets)) for facts in settings.nodes)


def told_by_node(told: Iterable[ToldNodes], fact: Callable[[NodeFacts], _Fact | None]) -> dict[NodeName, _Fact]:
    """One fact, as far as it was told; what comes later wins."""
    return {node: value for one in told if (value := fact(one.facts)) is not None for node in one.nodes}


def _nodes_of(facts: NodeFacts, sets: NodeSets) -> tuple[NodeName, ...]:
    try:
        return sets.expand(facts.node_set)
    except NodeNameError as error:
        said = f'{facts.origin}: `set = "{facts.node_set}"` under `[[nodes]]`: {error.message}'
        raise SettingsError(said, hint=error.hint) from error
