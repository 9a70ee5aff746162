"""Carry out `config check`: read all that a verb would read, and stop at the first thing that is wrong."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clbalance.cli.chosen_levels import levels_of
from clbalance.cli.chosen_policy import policy_in, policy_of
from clbalance.cli.facts_of_nodes import told_nodes
from clbalance.cli.here import here
from clbalance.cli.node_labels import labels_of_nodes
from clbalance.cli.options import NodeOptions
from clbalance.cli.screen import Screen
from clbalance.errors import ExitCode, NodeNameError, SettingsError, UsageError
from clbalance.nodes import NodeSets
from clbalance.policy.thresholds import Thresholds
from clbalance.render import talk
from clbalance.settings.load import load_settings
from clbalance.settings.sources import settings_files
from clbalance.settings.values import GroupPolicy, Settings
from clbalance.transport.group_check import file_problems
from clbalance.transport.groups import load_groups


def check_settings(screen: Screen, file: Path | None) -> int:
    """Of one file, or of all that apply here; what is wrong is raised."""
    if file is not None and not file.exists():
        raise UsageError(f"there is no file {file}", hint="`clbalance config path` shows those that are looked for")
    environment = {**os.environ, "CLBALANCE_CONFIG": str(file)} if file is not None else dict(os.environ)
    settings = load_settings(environment, here())
    _check_what_goes_together(settings)
    groups = load_groups(Path(settings.groups_conf) if settings.groups_conf else None)
    if groups is not None and (problems := file_problems(groups)):
        raise problems[0].error
    _check_names(settings, NodeSets(groups))
    read = [path for path in settings_files(environment, here()) if path.exists()]
    screen.say(
        talk.note(f"{', '.join(map(str, read))}: in order" if read else "no settings file here: the defaults apply")
    )
    return ExitCode.DONE


def _check_what_goes_together(settings: Settings) -> None:
    """Values that are right one by one, and may not be so together; by what makes the verbs' own values of them."""
    levels_of(settings)
    thresholds = Thresholds(**settings.thresholds)
    policy_of(settings, thresholds, NodeOptions(), None)
    for group in settings.groups:
        with _told_of(group):
            policy_in(settings, thresholds, group.group, None)


def _check_names(settings: Settings, sets: NodeSets) -> None:
    """Node sets and groups that the settings speak of."""
    labels_of_nodes(told_nodes(settings, sets))
    for group in settings.groups:
        with _told_of(group):
            sets.group(group.group)


@contextmanager
def _told_of(group: GroupPolicy) -> Iterator[None]:
    """What is wrong with it names its file and key."""
    try:
        yield
    except (NodeNameError, SettingsError) as error:
        said = f'{group.origin}: `group = "{group.group}"`: {error.message}'
        raise SettingsError(said, hint=error.hint) from error
