"""By which policy work is placed: as typed, else as its group has it, else as everywhere."""

from clbalance.cli.options import NodeOptions
from clbalance.policy.policies import Policy, policy_named
from clbalance.policy.thresholds import Thresholds
from clbalance.settings.values import GroupPolicy, Settings


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
