"""What the settings say of single nodes and of groups: facts, labels, taints, the placement policy."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from clbalance.errors import NodeNameError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodeset import NodeSets
from clbalance.policy.placement.policies import Policy, policy_named
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.settings.keys import AUTO
from clbalance.settings.values import GroupPolicy, NodeFacts, PolicySettings, Settings

_Fact = TypeVar("_Fact", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFactsEntry:
    """One `[[nodes]]` table, and the nodes of its set."""

    facts: NodeFacts
    nodes: tuple[NodeName, ...]


def node_facts_entries(settings: Settings, sets: NodeSets) -> tuple[NodeFactsEntry, ...]:
    """Every `[[nodes]]` table with its nodes, even if empty. `SettingsError` for a bad node set or unknown group."""
    return tuple(NodeFactsEntry(facts=facts, nodes=_nodes_of(facts, sets)) for facts in settings.nodes)


def facts_by_node(
    entries: Iterable[NodeFactsEntry], fact: Callable[[NodeFacts], _Fact | None]
) -> dict[NodeName, _Fact]:
    """One fact for each node that has it; a later table wins."""
    return {node: value for one in entries if (value := fact(one.facts)) is not None for node in one.nodes}


def _nodes_of(facts: NodeFacts, sets: NodeSets) -> tuple[NodeName, ...]:
    try:
        return sets.expand(facts.node_set)
    except NodeNameError as error:
        said = f'{facts.origin}: `set = "{facts.node_set}"` under `[[nodes]]`: {error.message}'
        raise SettingsError(said, hint=error.hint) from error


# Labels and taints by node.


def labels_of_nodes(entries: Iterable[NodeFactsEntry]) -> dict[NodeName, dict[str, str]]:
    """Labels by node; a later table wins. `SettingsError` for a label that is a word of `--where`."""
    labels: dict[NodeName, dict[str, str]] = {}
    for one in entries:
        if one.facts.labels:
            _refuse_reserved(one.facts)
            for node in one.nodes:
                labels[node] = {**labels.get(node, {}), **one.facts.labels}
    return labels


def taints_of_nodes(entries: Iterable[NodeFactsEntry]) -> dict[NodeName, frozenset[str]]:
    """Taints by node, from all tables."""
    taints: dict[NodeName, frozenset[str]] = {}
    for one in entries:
        for node in one.nodes if one.facts.taints else ():
            taints[node] = taints.get(node, frozenset()) | frozenset(one.facts.taints)
    return taints


def _refuse_reserved(facts: NodeFacts) -> None:
    from clbalance.policy.expressions.facts import RESERVED  # most settings have no labels

    if taken := sorted(RESERVED.intersection(facts.labels)):
        raise SettingsError(
            f"{facts.origin}: the label `{taken[0]}` of `{facts.node_set}` is a word of `--where`",
            hint=f"another name, such as `{taken[0]}_label`",
        )


# The placement policy: the one that was typed, else the one of the group, else the one for all nodes.


def policy_in(settings: Settings, thresholds: Thresholds, named: str | None, typed: str | None) -> Policy:
    """The policy for nodes of this group, if one is named. `SettingsError`: unknown name, or weights all 0.

    A typed name has its own weights: the weights in the settings are for the policy that the settings name.
    """
    everywhere = settings.policy
    group = None if named is None else _entry_of(settings, named)
    name = policy_name(settings, named, typed)
    if name == AUTO:
        _refuse_weights(everywhere, group)
        from clbalance.wiring.chosen import policy_in_use  # most settings name the policy

        name = policy_in_use("placement")
    weights = dict(everywhere.weights) if name == everywhere.name else {}
    if group is not None and name == (group.name or everywhere.name):
        weights |= group.weights
    return policy_named(name, weights=weights, thresholds=thresholds, max_age_s=everywhere.max_age_s)


def policy_name(settings: Settings, named: str | None, typed: str | None) -> str:
    """The name of that policy; it may be `auto`."""
    group = None if named is None else _entry_of(settings, named)
    return typed or (group and group.name) or settings.policy.name


def _refuse_weights(everywhere: PolicySettings, group: GroupPolicy | None) -> None:
    """Weights are for one policy."""
    for_auto = dict(everywhere.weights) if everywhere.name == AUTO else {}
    if group is not None and (group.name or everywhere.name) == AUTO:
        for_auto |= group.weights
    if for_auto:
        raise SettingsError(
            f"weight `{next(iter(for_auto))}` for the policy `auto`, which is one policy today and another tomorrow",
            hint="leave out the weights, or name the policy that they are for",
        )


def _entry_of(settings: Settings, named: str) -> GroupPolicy | None:
    """The last entry for that group."""
    return next((one for one in reversed(settings.groups) if one.group == named), None)
