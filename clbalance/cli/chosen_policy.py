"""By which policy work is placed: as typed, else as its group has it, else as everywhere."""

from clbalance.cli.options import NodeOptions
from clbalance.policy.policies import Policy, policy_named
from clbalance.policy.thresholds import Thresholds
from clbalance.settings.values import GroupPolicy, Settings


def policy_of(settings: Settings, thresholds: Thresholds, nodes: NodeOptions, typed: str | None) -> Policy:
    """`SettingsError` for a name that is none, and for weights that leave nothing to compare.

    A name that is typed brings its own weights: those of the settings were meant for the policy that they name.
    """
    everywhere = settings.policy
    group = _of_group(settings, nodes)
    name = typed or (group and group.name) or everywhere.name
    weights = dict(everywhere.weights) if name == everywhere.name else {}
    if group is not None and name == (group.name or everywhere.name):
        weights |= group.weights
    return policy_named(name, weights=weights, thresholds=thresholds, max_age_s=everywhere.max_age_s)


def _of_group(settings: Settings, nodes: NodeOptions) -> GroupPolicy | None:
    """What the settings have for the group that was named, where nothing else was: the last entry of that name."""
    named = nodes.groups or []
    if len(named) != 1 or nodes.nodes or nodes.everything:
        return None
    return next((one for one in reversed(settings.groups) if one.group == named[0]), None)
