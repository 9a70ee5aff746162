"""Find the values for nodes in settings and options: facts, labels, taints, policy, balance settings, result groups."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions
from clbalance.cli.requests import say_left_out, selection_of
from clbalance.errors import NodeNameError, SettingsError, StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodeset import NodeSets, candidates
from clbalance.policy.placement.policies import Policy, policy_named
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.settings.load import load_settings
from clbalance.settings.values import GroupPolicy, NodeFacts, Settings
from clbalance.store.location import state_directory, this_machine
from clbalance.store.result_groups import FILE, SOURCE, read_groups
from clbalance.transport.group_sources import ResultGroups
from clbalance.transport.groups import load_groups

if TYPE_CHECKING:  # most verbs do not balance
    from clbalance.policy.rebalance.values import BalanceSettings

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


def policy_of(settings: Settings, thresholds: Thresholds, nodes: NodeOptions, typed: str | None) -> Policy:
    """The policy for these nodes. `SettingsError` for an unknown name, and for weights that are all 0.

    A typed name has its own weights: the weights in the settings are for the policy that the settings name.
    """
    return policy_in(settings, thresholds, named_group(nodes), typed)


def named_group(nodes: NodeOptions) -> str | None:
    """The named group, if it alone selects the nodes."""
    named = nodes.groups or []
    return named[0] if len(named) == 1 and not nodes.nodes and not nodes.everything else None


def policy_in(settings: Settings, thresholds: Thresholds, named: str | None, typed: str | None) -> Policy:
    """The same, for the group that was named when the job was submitted."""
    everywhere = settings.policy
    group = None if named is None else _entry_of(settings, named)
    name = typed or (group and group.name) or everywhere.name
    weights = dict(everywhere.weights) if name == everywhere.name else {}
    if group is not None and name == (group.name or everywhere.name):
        weights |= group.weights
    return policy_named(name, weights=weights, thresholds=thresholds, max_age_s=everywhere.max_age_s)


def _entry_of(settings: Settings, named: str) -> GroupPolicy | None:
    """The last entry for that group."""
    return next((one for one in reversed(settings.groups) if one.group == named), None)


def levels_of(settings: Settings, *, max_moves: int | None = None, min_gain: float | None = None) -> "BalanceSettings":
    """The settings of `rebalance`; options win. `SettingsError` for values that do not go together."""
    from clbalance.policy.rebalance.values import BalanceSettings

    typed = {"max_moves": max_moves, "min_gain": min_gain}
    given = {**settings.rebalance, **{key: value for key, value in typed.items() if value is not None}}
    return BalanceSettings(**given)  # type: ignore[arg-type]  # settings/keys.py has checked each by its name


# The group source with nodes by job result.


def result_groups(nodes: NodeOptions) -> ResultGroups | None:
    """The source, if one of these options names it."""
    named = (nodes.nodes, nodes.groups, nodes.exclude, nodes.exclude_groups)
    if not any(f"{SOURCE}:" in text for texts in named for text in texts or ()):
        return None
    try:
        folder = state_directory(os.environ, this_machine()).path
    except StoreError:
        return None  # no state folder; opening the store warns about it
    return ResultGroups(SOURCE, lambda: _or_empty(read_groups(folder)))


def result_file() -> Path:
    """The file of the source. `StoreError` if there is no state folder."""
    return state_directory(os.environ, this_machine()).path / FILE


def _or_empty(groups: dict[str, str]) -> dict[str, str]:
    from clbalance.policy.jobs.outcome import Result
    from clbalance.policy.play.outcome import PlayNodeSet

    return {result.value: "" for result in (*Result, *PlayNodeSet)} | groups


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
    groups = load_groups(Path(settings.groups_conf) if settings.groups_conf else None, result_groups(options))
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


def working_directory() -> Path:
    """The current folder; if it was deleted, `$PWD`."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.environ.get("PWD", "/"))


def me() -> str:
    """The name of our user, for reasons and logs."""
    import getpass  # not needed to ask nodes for their load

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.geteuid()}"
