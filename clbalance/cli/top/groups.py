"""The site's groups that the shown nodes are in."""

from collections.abc import Collection
from contextlib import suppress

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.node_settings import result_groups
from clbalance.cli.options import NodeOptions
from clbalance.errors import ClbalanceError
from clbalance.model import NodeName
from clbalance.natural_order import natural_order
from clbalance.nodeset import NodeSets
from clbalance.policy.heat import NodeGroup
from clbalance.wiring.plugins.wanted import configured_groups

_MOST_GROUPS = 50
"""Some sources run a command for each group."""


def site_groups(cluster: ClusterContext, options: NodeOptions) -> tuple[NodeGroup, ...]:
    """The groups of the default source with any of these nodes. Groups that cannot be read are left out."""
    sets = NodeSets(configured_groups(cluster.settings, result_groups(options)))
    return _groups(sets, frozenset(cluster.candidates.nodes))


def _groups(sets: NodeSets, shown: Collection[NodeName]) -> tuple[NodeGroup, ...]:
    found = []
    for name in sorted(sets.group_names(), key=natural_order)[:_MOST_GROUPS]:
        with suppress(ClbalanceError):
            nodes = tuple(node for node in sets.group(name) if node in shown)
            if nodes:
                found.append(NodeGroup(label=name, nodes=nodes))
    return tuple(found)
