"""Which nodes are meant, for verbs that reach none of them."""

import os
from pathlib import Path

from clbalance.cli.here import here
from clbalance.cli.options import NodeOptions
from clbalance.cli.result_groups import result_groups
from clbalance.cli.screen import Screen
from clbalance.cli.selection import say_left_out, selection_of
from clbalance.errors import NodeNameError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodes import NodeSets, candidates
from clbalance.settings.load import load_settings
from clbalance.transport.groups import load_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedNodes:
    """The nodes, and those of them that nothing but their own name speaks of: no group has them."""

    nodes: tuple[NodeName, ...]
    only_named: frozenset[NodeName]


def named_nodes(options: NodeOptions, screen: Screen) -> NamedNodes:
    """Without nodes: all of the default group source, or this machine where no groups are configured."""
    typed = {} if options.groups_conf is None else {"groups_conf": str(options.groups_conf)}
    settings = load_settings(os.environ, here(), typed)
    groups = load_groups(Path(settings.groups_conf) if settings.groups_conf else None, result_groups(options))
    if groups is None and not options.names_nodes:
        from clbalance.transport.reach import this_node

        return NamedNodes(nodes=(this_node(),), only_named=frozenset())
    sets = NodeSets(groups)
    meant = candidates(selection_of(options), sets)
    say_left_out(meant, screen)
    return NamedNodes(nodes=meant.nodes, only_named=_only_named(options, sets))


def _only_named(options: NodeOptions, sets: NodeSets) -> frozenset[NodeName]:
    plain = {node for text in options.nodes or () if "@" not in text and "!" not in text for node in sets.expand(text)}
    try:
        grouped = set(sets.all())
    except (NodeNameError, SettingsError):
        grouped = set()
    return frozenset(plain - grouped)
