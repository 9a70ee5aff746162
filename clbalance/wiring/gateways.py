"""The gateways through which nodes are asked, if the settings name a topology (docs/design/scale.md)."""

from pathlib import Path
from typing import TYPE_CHECKING

from clbalance.nodeset import NodeSets
from clbalance.settings.values import NO_TOPOLOGY, Settings
from clbalance.transport.groups import load_groups
from clbalance.transport.reach import this_node

if TYPE_CHECKING:
    from clbalance.transport.tree.topology import Routes


def routes_of(settings: Settings) -> "Routes | None":
    """The routes of `ssh.topology`; None: all nodes are asked directly. `SettingsError` if it cannot be used."""
    if settings.ssh.topology == NO_TOPOLOGY:
        return None
    from clbalance.transport.tree.topology import read_routes  # few clusters need gateways

    groups = load_groups(Path(settings.groups_conf) if settings.groups_conf else None)
    return read_routes(Path(settings.ssh.topology).expanduser(), NodeSets(groups), this_node())
