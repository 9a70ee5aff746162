"""Notifiers and group sources of installed packages, their errors contained and named."""

from collections.abc import Callable, Mapping, Sequence

from clbalance.errors import SettingsError
from clbalance.model.job_record import JobRecord
from clbalance.policy.site.view import job_view
from clbalance.transport.group_sources import NamedGroups
from clbalance.wiring.plugins.entry_points import contained, loaded, plugin_name


def tell_notifiers(names: Sequence[str], record: JobRecord, warn: Callable[[str], None]) -> None:
    """Call each with the job. One that fails is a warning, and keeps no other from being called."""
    for name in names:
        try:
            function = loaded("notifiers", name)
            with contained("notifiers", name):
                function(job_view(record))
        except SettingsError as error:
            warn(f"job {record.id}: {error.message}; {error.hint}")


def group_source(name: str) -> NamedGroups:
    """The groups of one plug-in."""
    return NamedGroups(name, lambda: _groups(name))


def _groups(name: str) -> Mapping[str, str]:
    function = loaded("groups", name)
    with contained("groups", name):
        found = function()
    if not isinstance(found, Mapping) or not all(isinstance(text, str) for pair in found.items() for text in pair):
        raise SettingsError(
            f"{plugin_name('groups', name)} must return node sets by group, and returned a {type(found).__name__}",
            hint='such as `{"gpu": "gpu[1-4]"}`',
        )
    return found
