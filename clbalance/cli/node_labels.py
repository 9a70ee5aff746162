"""Labels and taints by node, from the node sets that the settings give them to."""

from clbalance.errors import SettingsError
from clbalance.model import NodeName
from clbalance.nodes import NodeSets
from clbalance.settings.values import NodeFacts, Settings


def labels_of_nodes(settings: Settings, sets: NodeSets) -> dict[NodeName, dict[str, str]]:
    """Of one label that is given twice the later value counts. `SettingsError` for a name that means something else."""
    labels: dict[NodeName, dict[str, str]] = {}
    for facts in settings.nodes:
        if facts.labels:
            _refuse_reserved(facts)
            for node in sets.expand(facts.node_set):
                labels[node] = {**labels.get(node, {}), **facts.labels}
    return labels


def taints_of_nodes(settings: Settings, sets: NodeSets) -> dict[NodeName, frozenset[str]]:
    """All that are given."""
    taints: dict[NodeName, frozenset[str]] = {}
    for facts in settings.nodes:
        for node in sets.expand(facts.node_set) if facts.taints else ():
            taints[node] = taints.get(node, frozenset()) | frozenset(facts.taints)
    return taints


def _refuse_reserved(facts: NodeFacts) -> None:
    from clbalance.policy.expressions.facts import RESERVED  # most have no labels

    if taken := sorted(RESERVED.intersection(facts.labels)):
        raise SettingsError(
            f"{facts.origin}: the label `{taken[0]}` of `{facts.node_set}` is a word of `--where`",
            hint=f"another name, such as `{taken[0]}_label`",
        )
