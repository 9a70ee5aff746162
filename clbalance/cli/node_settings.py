"""Find what options and settings say together: policy, balance settings, result groups, named nodes."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions
from clbalance.cli.requests import say_left_out, selection_of
from clbalance.errors import NodeNameError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodeset import NodeSets, candidates
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.settings.load import load_settings
from clbalance.settings.values import Settings
from clbalance.store.location import state_directory, this_machine
from clbalance.store.result_groups import FILE
from clbalance.transport.group_sources import ResultGroups
from clbalance.wiring.folders import results_named_in, working_directory
from clbalance.wiring.node_settings import policy_in
from clbalance.wiring.plugins.wanted import configured_groups

if TYPE_CHECKING:  # most verbs do not balance
    from clbalance.policy.rebalance.values import BalanceSettings

# The placement policy: the one that was typed, else the one of the group, else the one for all nodes.


def policy_of(settings: Settings, thresholds: Thresholds, nodes: NodeOptions, typed: str | None) -> Policy:
    """The policy for these nodes. `SettingsError` for an unknown name, and for weights that are all 0.

    A typed name has its own weights: the weights in the settings are for the policy that the settings name.
    """
    return policy_in(settings, thresholds, named_group(nodes), typed)


def named_group(nodes: NodeOptions) -> str | None:
    """The named group, if it alone selects the nodes."""
    named = nodes.groups or []
    return named[0] if len(named) == 1 and not nodes.nodes and not nodes.everything else None


def levels_of(settings: Settings, *, max_moves: int | None = None, min_gain: float | None = None) -> "BalanceSettings":
    """The settings of `rebalance`; options win. `SettingsError` for values that do not go together."""
    from clbalance.policy.rebalance.values import BalanceSettings

    typed = {"max_moves": max_moves, "min_gain": min_gain}
    given = {**settings.rebalance, **{key: value for key, value in typed.items() if value is not None}}
    return BalanceSettings(**given)  # type: ignore[arg-type]  # settings/keys.py has checked each by its name


# The group source with nodes by job result.


def result_groups(nodes: NodeOptions) -> ResultGroups | None:
    """The source, if one of these options names it."""
    return results_named_in(nodes.nodes, nodes.groups, nodes.exclude, nodes.exclude_groups)


def result_file() -> Path:
    """The file of the source. `StoreError` if there is no state folder."""
    return state_directory(os.environ, this_machine()).path / FILE


# The named nodes, for verbs that do not connect to nodes.


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedNodes:
    """The nodes; `only_named` are those in no group, selected by their own names."""

    nodes: tuple[NodeName, ...]
    only_named: frozenset[NodeName]
    sets: NodeSets
    settings: Settings


def named_nodes(options: NodeOptions, console: Console) -> NamedNodes:
    """The selected nodes; if none are named, all of the default group source, or this machine without any groups."""
    typed = {} if options.groups_conf is None else {"groups_conf": str(options.groups_conf)}
    settings = load_settings(os.environ, working_directory(), typed)
    groups = configured_groups(settings, result_groups(options))
    if groups is None and not options.names_nodes:
        from clbalance.transport.reach import this_node

        return NamedNodes(nodes=(this_node(),), only_named=frozenset(), sets=NodeSets(None), settings=settings)
    sets = NodeSets(groups)
    meant = candidates(selection_of(options), sets)
    say_left_out(meant, console)
    return NamedNodes(nodes=meant.nodes, only_named=_only_named(options, sets), sets=sets, settings=settings)


def _only_named(options: NodeOptions, sets: NodeSets) -> frozenset[NodeName]:
    plain = {node for text in options.nodes or () if "@" not in text and "!" not in text for node in sets.expand(text)}
    try:
        grouped = set(sets.all())
    except (NodeNameError, SettingsError):
        grouped = set()
    return frozenset(plain - grouped)


def me() -> str:
    """The name of our user, for reasons and logs."""
    import getpass  # not needed to ask nodes for their load

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.geteuid()}"
