"""Carry out `config show`, `config path` and `config check`."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path

from clbalance.cli.console import Console
from clbalance.cli.node_settings import levels_of, policy_of
from clbalance.cli.options import NodeOptions
from clbalance.errors import ExitCode, NodeNameError, SettingsError, StoreError, UsageError
from clbalance.nodeset import NodeSets
from clbalance.policy.rebalance.values import BalanceSettings
from clbalance.render import messages
from clbalance.render.reports.admin.config import CheckReport, ConfigPlace, PlacesReport, SettingsReport, ShownKey
from clbalance.render.text import Json
from clbalance.settings.clush_conf import clush_files
from clbalance.settings.load import load_settings, settings_files
from clbalance.settings.values import CheckSettings, GroupPolicy, IndexSettings, Settings
from clbalance.store.location import state_directory, this_machine
from clbalance.transport.group_check import file_problems
from clbalance.transport.groups import group_files
from clbalance.wiring.folders import working_directory
from clbalance.wiring.gateways import routes_of
from clbalance.wiring.node_settings import labels_of_nodes, node_facts_entries, policy_in
from clbalance.wiring.plugins.wanted import configured_groups, entry_point_problems, site_probe_of, thresholds_of


def show_settings(console: Console) -> int:
    """Show every key, then the entries of `[[nodes]]` and `[[groups]]`. The exit code: 0."""
    settings = load_settings(os.environ, working_directory())
    console.show(SettingsReport((*_keys(settings), *_entries(settings), *_chosen(settings))))
    return ExitCode.DONE


def _keys(settings: Settings) -> Iterator[ShownKey]:
    thresholds = thresholds_of(settings)
    policy = policy_of(settings, thresholds, NodeOptions(), None)
    off = {True: "off"}
    values: dict[str, Json] = {"groups_conf": settings.groups_conf}
    values |= {f"ssh.{name}": value for name, value in asdict(settings.ssh).items()}
    values["ssh.control_persist_s"] = off.get(settings.ssh.control_persist_s is None, settings.ssh.control_persist_s)
    values |= {f"policy.{name}": getattr(settings.policy, name) for name in ("name", "queue", "max_age_s")}
    shortlist_age_s = settings.policy.shortlist_age_s
    values["policy.shortlist_age_s"] = off.get(shortlist_age_s is None, shortlist_age_s)
    values |= {"policy.suspect_after": off.get(settings.policy.suspect_after is None, settings.policy.suspect_after)}
    values |= {f"queue.{name}": value for name, value in asdict(settings.queue).items()}
    values |= {"gpus.hide": settings.gpus.hide, "slurm.nodes": settings.slurm.nodes}
    values |= {"slurm.folder": settings.slurm.folder, "engine": dict(settings.engines) or None}
    values |= {f"policy.weights.{name}": weight for name, weight in asdict(policy.weights).items()}
    values |= {f"thresholds.{name}": off.get(limit is None, limit) for name, limit in thresholds.bounds}
    rebalance = {**asdict(BalanceSettings()), **settings.rebalance}
    values |= {f"rebalance.{name}": off.get(value is None, value) for name, value in rebalance.items()}
    most = settings.shell.confirm_nodes
    values |= {"shell.confirm": list(settings.shell.confirm), "shell.confirm_nodes": off.get(most is None, most)}
    values |= {f"plugins.{name}": list(one) or None for name, one in asdict(settings.entry_points).items()}
    values["plugins.scorers"] = dict(settings.entry_points.scorers) or None
    values["top.keys"] = {name: list(keys) for name, keys in settings.top_keys.items()} or None
    prices = settings.prices
    values |= {"prices.currency": prices.currency or None}
    values |= {"prices.cpu_hour": prices.cpu_hour, "prices.gpu_hour": prices.gpu_hour}
    for key, origin in settings.origins.items():
        yield ShownKey(key=key, value=values[key], origin=origin)


def _entries(settings: Settings) -> Iterator[ShownKey]:
    for number, facts in enumerate(settings.nodes, start=1):
        parsed = {"set": facts.node_set, "cpu_factor": facts.cpu_factor, "slots": facts.slots}
        parsed |= {"price_cpu_hour": facts.price_cpu_hour, "price_gpu_hour": facts.price_gpu_hour}
        more: dict[str, Json] = {"labels": dict(facts.labels), "taints": list(facts.taints)}
        yield ShownKey(key=f"nodes[{number}]", value=_set(parsed | more), origin=facts.origin)
    for number, group in enumerate(settings.groups, start=1):
        value: dict[str, Json] = {"group": group.group, "policy": group.name, "weights": dict(group.weights)}
        yield ShownKey(key=f"groups[{number}]", value=_set(value), origin=group.origin)
    for index in settings.plugins.indices.values():
        yield ShownKey(key=f"index.{index.name}", value=_set(_plain(index)), origin=index.origin)
    for check in settings.plugins.checks.values():
        yield ShownKey(key=f"check.{check.name}", value=_set(_plain(check)), origin=check.origin)


def _plain(entry: IndexSettings | CheckSettings) -> dict[str, Json]:
    """The keys of a plug-in that were set, in the words of the file."""
    left_out = {"name", "origin", "program", "has_column"}
    values: dict[str, Json] = {name: value for name, value in asdict(entry).items() if name not in left_out}
    if isinstance(entry, IndexSettings):
        values["column"] = entry.has_column
    if entry.program is not None:
        paths: dict[str, Json] = {"program": entry.program.here, "node_program": entry.program.there}
        values |= {**paths, "arguments": list(entry.program.arguments), "timeout_s": entry.program.timeout_s}
    return values


def _chosen(settings: Settings) -> Iterator[ShownKey]:
    """What stands for `auto`."""
    from clbalance.render.reports.balance.choices import chosen_value
    from clbalance.wiring.chosen import (  # only here, and few settings say `auto`
        last_choice,
        policy_in_use,
        subjects_of,
    )

    for subject in subjects_of(settings):
        choice = last_choice(subject)
        value: Json = policy_in_use(subject) if choice is None else chosen_value(choice)
        yield ShownKey(key=f"auto.{subject}", value=value, origin="default" if choice is None else "chosen")


def _set(values: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value not in (None, [], {}, "")}


# `config path`


def show_places(console: Console) -> int:
    """Show where files are looked for, even if one of them cannot be parsed. The exit code: 0."""
    console.show(PlacesReport((*_settings(), *_clush(), *_groups(), _state())))
    return ExitCode.DONE


def _settings() -> Iterator[ConfigPlace]:
    """The file that overrides all others comes first."""
    for path in settings_files(os.environ, working_directory()):
        yield ConfigPlace(what="settings", path=str(path), is_there=_is_there(path))


def _clush() -> Iterator[ConfigPlace]:
    """Likewise; the folders of parts that these files name are not listed."""
    for path in reversed(clush_files(os.environ, working_directory())):
        yield ConfigPlace(what="clush", path=str(path), is_there=_is_there(path))


def _groups() -> Iterator[ConfigPlace]:
    """The file that overrides all others comes first, as for the settings."""
    try:
        configured = load_settings(os.environ, working_directory()).groups_conf
    except SettingsError as error:
        configured = None
        yield ConfigPlace(what="groups", path="groups_conf", is_there=False, remark=f"unknown: {error.message}")
    if configured:
        yield ConfigPlace(what="groups", path=configured, is_there=_is_there(Path(configured)))
    for path in reversed(group_files()):
        yield ConfigPlace(what="groups", path=str(path), is_there=_is_there(path))


def _state() -> ConfigPlace:
    try:
        found = state_directory(os.environ, this_machine())
    except StoreError as error:
        return ConfigPlace(what="state", path="-", is_there=False, remark=error.message)
    return ConfigPlace(what="state", path=str(found.path), is_there=True, remark=found.note or "")


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # a file that we may not see is not read either


# `config check`: read every file that a verb would read, and stop at the first error.


def check_settings(console: Console, file: Path | None) -> int:
    """Check `file`, or all files that apply here. The exit code: 0. Raises the first error that it finds."""
    if file is not None and not file.exists():
        raise UsageError(f"there is no file {file}", hint="`clbalance config path` shows those that are looked for")
    environment = {**os.environ, "CLBALANCE_CONFIG": str(file)} if file is not None else dict(os.environ)
    settings = load_settings(environment, working_directory())
    _check_what_goes_together(settings)
    groups = configured_groups(settings)
    if groups is not None and (problems := file_problems(groups)):
        raise problems[0].error
    _check_names(settings, NodeSets(groups))
    routes_of(settings)
    here = [str(path) for path in settings_files(environment, working_directory()) if path.exists()]
    read = list(dict.fromkeys([*here, *(origin for origin in settings.origins.values() if origin.startswith("/"))]))
    console.say(messages.note(f"{', '.join(read)}: in order" if read else "no settings file here: the defaults apply"))
    console.show(CheckReport(tuple(read)))
    return ExitCode.DONE


def _check_what_goes_together(settings: Settings) -> None:
    """Find values that are valid alone but not together, by building the values that verbs use from them."""
    levels_of(settings)
    site_probe_of(settings)
    for problem in entry_point_problems(settings):
        raise problem
    thresholds = thresholds_of(settings)
    policy_of(settings, thresholds, NodeOptions(), None)
    for group in settings.groups:
        with _place_of(group):
            policy_in(settings, thresholds, group.group, None)


def _check_names(settings: Settings, sets: NodeSets) -> None:
    """Check the node sets and groups that the settings name."""
    labels_of_nodes(node_facts_entries(settings, sets))
    for group in settings.groups:
        with _place_of(group):
            sets.group(group.group)
    for name, engine in settings.engines.items():
        with _place(f'{settings.origins["engine"]}: `{name} = "{engine}"` in `[engine]`'):
            sets.group(name)


def _place_of(group: GroupPolicy) -> AbstractContextManager[None]:
    return _place(f'{group.origin}: `group = "{group.group}"`')


@contextmanager
def _place(text: str) -> Iterator[None]:
    """Add the file and key to an error."""
    try:
        yield
    except (NodeNameError, SettingsError) as error:
        raise SettingsError(f"{text}: {error.message}", hint=error.hint) from error
