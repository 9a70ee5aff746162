"""The plug-ins of the settings, for every verb: without any, nothing is imported (docs/design/startup.md)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clbalance.errors import SettingsError
from clbalance.model.job_record import JobRecord
from clbalance.model.plugins import ExternalIndex
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.settings.values import EntryPoints, Settings

if TYPE_CHECKING:  # few sites have any
    from clbalance.engine.site_probe import SiteProbe
    from clbalance.transport.group_sources import NamedGroups, ResultGroups
    from clbalance.transport.groups import ConfiguredGroups


def site_probe_of(settings: Settings) -> "SiteProbe | None":
    """The site's own programs in each probe; None: there are none. `SettingsError` for one that cannot be used."""
    if not settings.plugins.indices and not settings.plugins.checks:
        return None
    from clbalance.wiring.plugins.site import site_probe

    return site_probe(settings)


def external_indices_of(settings: Settings) -> tuple[ExternalIndex, ...]:
    """The external indices. `SettingsError` for a name that is taken."""
    if not settings.plugins.indices:
        return ()
    from clbalance.wiring.plugins.site import external_indices

    return external_indices(settings)


def thresholds_of(settings: Settings) -> Thresholds:
    """The thresholds, with those of external indices."""
    return Thresholds(external_indices_of(settings), **settings.thresholds)


def with_rules(policy: Policy, settings: Settings, warn: Callable[[str], None]) -> Policy:
    """The policy with the filters and scorers of installed packages. They are loaded when they are first called."""
    named = settings.entry_points
    if not named.filters and not named.scorers:
        return policy
    from clbalance.wiring.plugins.rules import site_rules

    return replace(policy, rules=site_rules(named, warn))


def entry_point_problems(settings: Settings) -> Sequence[SettingsError]:
    """What is wrong with the named entry points of installed packages; they are loaded for that."""
    if settings.entry_points == EntryPoints():
        return ()
    from clbalance.wiring.plugins.entry_points import problems

    return tuple(problems(settings.entry_points))


def end_notifier(settings: Settings, warn: Callable[[str], None]) -> Callable[[JobRecord], None]:
    """Tells the notifiers of installed packages of a job that has ended."""
    names = settings.entry_points.notifiers

    def tell(record: JobRecord) -> None:
        if names:
            from clbalance.wiring.plugins.listeners import tell_notifiers

            tell_notifiers(names, record, warn)

    return tell


def configured_groups(settings: Settings, results: "ResultGroups | None" = None) -> "ConfiguredGroups | None":
    """The groups of the settings and of plug-ins, and `results`; None if there are none."""
    from clbalance.transport.groups import load_groups

    named = Path(settings.groups_conf) if settings.groups_conf else None
    return load_groups(named, results, group_plugins(settings))


def group_plugins(settings: Settings) -> "tuple[NamedGroups, ...]":
    """A group source for each of the named plug-ins, called at the first look-up."""
    if not settings.entry_points.groups:
        return ()
    from clbalance.wiring.plugins.listeners import group_source

    return tuple(map(group_source, settings.entry_points.groups))
