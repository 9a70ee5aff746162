"""Labels and taints by node, from the node sets that the settings give them to."""

from collections.abc import Iterable

from clbalance.cli.facts_of_nodes import ToldNodes
from clbalance.errors import SettingsError
from clbalance.model import NodeName
from clbalance.settings.values import NodeFacts


def labels_of_nodes(told: Iterable[ToldNodes]) -> dict[NodeName, dict[str, str]]:
    """Of one label that is given twice the later value counts. `SettingsError` for a name that means something else."""
    labels: dict[NodeName, dict[str, str]] = {}
    for one in told:
        if one.facts.labels:
            _refuse_reserved(one.facts)
            for node in one.nodes:
                labels[node] = {**labels.get(node, {}), **one.facts.labels}
    return labels


def taints_of_nodes(told: Iterable[ToldNodes]) -> dict[NodeName, frozenset[str]]:
    """All that are given."""
    taints: dict[NodeName, frozenset[str]] = {}
    for one in told:
        for node in one.nodes if one.facts.taints else ():
            taints[node] = taints.get(node, frozenset()) | frozenset(one.facts.taints)
    return taints


def _refuse_reserved(facts: NodeFacts) -> None:
    from clbalance.policy.expressions.facts import RESERVED  # most have no labels

    if taken := sorted(RESERVED.intersection(facts.labels)):
        raise SettingsError(
            f"{facts.origin}: the label `{taken[0]}` of `{facts.node_set}` is a word of `--where`",
            hint=f"another name, such as `{taken[0]}_label`",
        )
