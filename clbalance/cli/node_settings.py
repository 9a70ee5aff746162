"""From settings and options to what applies to nodes: facts, labels, policy, levels, groups of results."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions
from clbalance.cli.requests import say_left_out, selection_of
from clbalance.errors import NodeNameError, SettingsError, StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodeset import NodeSets, candidates
from clbalance.policy.placement.policies import Policy, policy_named
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.rebalance.values import BalanceSettings
from clbalance.settings.load import load_settings
from clbalance.settings.values import GroupPolicy, NodeFacts, Settings
from clbalance.store.location import state_directory, this_machine
from clbalance.store.result_groups import FILE, SOURCE, read_groups
from clbalance.transport.group_sources import ResultGroups
from clbalance.transport.groups import load_groups

_Fact = TypeVar("_Fact", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFactsEntry:
    """One `[[nodes]]` table, and the nodes of its set."""

    facts: NodeFacts
    nodes: tuple[NodeName, ...]


def node_facts_entries(settings: Settings, sets: NodeSets) -> tuple[NodeFactsEntry, ...]:
    """Every table, also one that tells nothing. `SettingsError` for a set that is none, and for an unknown group."""
    return tuple(NodeFactsEntry(facts=facts, nodes=_nodes_of(facts, sets)) for facts in settings.nodes)


def facts_by_node(
    entries: Iterable[NodeFactsEntry], fact: Callable[[NodeFacts], _Fact | None]
) -> dict[NodeName, _Fact]:
    """One fact, as far as it was told; what comes later wins."""
    return {node: value for one in entries if (value := fact(one.facts)) is not None for node in one.nodes}


def _nodes_of(facts: NodeFacts, sets: NodeSets) -> tuple[NodeName, ...]:
    try:
        return sets.expand(facts.node_set)
    except NodeNameError as error:
        said = f'{facts.origin}: `set = "{facts.node_set}"` under `[[nodes]]`: {error.message}'
        raise SettingsError(said, hint=error.hint) from error


# Labels and taints by node, from the node sets that the settings give them to.


def labels_of_nodes(entries: Iterable[NodeFactsEntry]) -> dict[NodeName, dict[str, str]]:
    """Of one label that is given twice the later value counts. `SettingsError` for a name that means something else."""
    labels: dict[NodeName, dict[str, str]] = {}
    for one in entries:
        if one.facts.labels:
            _refuse_reserved(one.facts)
            for node in one.nodes:
                labels[node] = {**labels.get(node, {}), **one.facts.labels}
    return labels


def taints_of_nodes(entries: Iterable[NodeFactsEntry]) -> dict[NodeName, frozenset[str]]:
    """All that are given."""
    taints: dict[NodeName, frozenset[str]] = {}
    for one in entries:
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


# By which policy work is placed: as typed, else as its group has it, else as everywhere.


def policy_of(settings: Settings, thresholds: Thresholds, nodes: NodeOptions, typed: str | None) -> Policy:
    """`SettingsError` for a name that is none, and for weights that leave nothing to compare.

    A name that is typed brings its own weights: those of the settings were meant for the policy that they name.
    """
    return policy_in(settings, thresholds, named_group(nodes), typed)


def named_group(nodes: NodeOptions) -> str | None:
    """The group that was named, where nothing else was."""
    named = nodes.groups or []
    return named[0] if len(named) == 1 and not nodes.nodes and not nodes.everything else None


def policy_in(settings: Settings, thresholds: Thresholds, named: str | None, typed: str | None) -> Policy:
    """The same of a group that was named when the work was submitted."""
    everywhere = settings.policy
    group = None if named is None else _entry_of(settings, named)
    name = typed or (group and group.name) or everywhere.name
    weights = dict(everywhere.weights) if name == everywhere.name else {}
    if group is not None and name == (group.name or everywhere.name):
        weights |= group.weights
    return policy_named(name, weights=weights, thresholds=thresholds, max_age_s=everywhere.max_age_s)


def _entry_of(settings: Settings, named: str) -> GroupPolicy | None:
    """The last one of that name."""
    return next((one for one in reversed(settings.groups) if one.group == named), None)


def levels_of(settings: Settings, *, max_moves: int | None = None, min_gain: float | None = None) -> BalanceSettings:
    """`SettingsError` for values that do not go together; `config check` asks for the same."""
    typed = {"max_moves": max_moves, "min_gain": min_gain}
    given = {**settings.rebalance, **{key: value for key, value in typed.items() if value is not None}}
    return BalanceSettings(**given)  # type: ignore[arg-type]  # settings/keys.py has checked each by its name


# What became of jobs as a group source: where it lies, and for node sets that speak of it.


def result_groups(nodes: NodeOptions) -> ResultGroups | None:
    """The source, if any of these options names it."""
    named = (nodes.nodes, nodes.groups, nodes.exclude, nodes.exclude_groups)
    if not any(f"{SOURCE}:" in text for texts in named for text in texts or ()):
        return None
    try:
        folder = state_directory(os.environ, this_machine()).path
    except StoreError:
        return None  # without memory; said by who opens it
    return ResultGroups(SOURCE, lambda: _or_empty(read_groups(folder)))


def result_file() -> Path:
    """Where the sets lie; raises `StoreError` where no state can be kept."""
    return state_directory(os.environ, this_machine()).path / FILE


def _or_empty(groups: dict[str, str]) -> dict[str, str]:
    from clbalance.policy.jobs.outcome import Result

    return {result.value: "" for result in Result} | groups


# Which nodes are meant, for verbs that reach none of them.


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedNodes:
    """The nodes, and those of them that nothing but their own name speaks of: no group has them."""

    nodes: tuple[NodeName, ...]
    only_named: frozenset[NodeName]


def named_nodes(options: NodeOptions, console: Console) -> NamedNodes:
    """Without nodes: all of the default group source, or this machine where no groups are configured."""
    typed = {} if options.groups_conf is None else {"groups_conf": str(options.groups_conf)}
    settings = load_settings(os.environ, working_directory(), typed)
    groups = load_groups(Path(settings.groups_conf) if settings.groups_conf else None, result_groups(options))
    if groups is None and not options.names_nodes:
        from clbalance.transport.reach import this_node

        return NamedNodes(nodes=(this_node(),), only_named=frozenset())
    sets = NodeSets(groups)
    meant = candidates(selection_of(options), sets)
    say_left_out(meant, console)
    return NamedNodes(nodes=meant.nodes, only_named=_only_named(options, sets))


def _only_named(options: NodeOptions, sets: NodeSets) -> frozenset[NodeName]:
    plain = {node for text in options.nodes or () if "@" not in text and "!" not in text for node in sets.expand(text)}
    try:
        grouped = set(sets.all())
    except (NodeNameError, SettingsError):
        grouped = set()
    return frozenset(plain - grouped)


def working_directory() -> Path:
    """The current folder; of one that was deleted under us, the name that the shell has for it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.environ.get("PWD", "/"))
