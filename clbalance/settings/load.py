"""Settings from all sources: command line > environment > project folder > user > system > clush.conf > default."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from pathlib import Path

from clbalance.lazy_dataclass import dataclass
from clbalance.settings.clush_conf import clush_settings
from clbalance.settings.document import Document, fitting, misfit, number_of
from clbalance.settings.keys import KEYS, VARIABLES, Misfit, Value
from clbalance.settings.user_folder import user_folder
from clbalance.settings.values import (
    EntryPoints,
    GpuSettings,
    PluginTables,
    PolicySettings,
    PriceSettings,
    QueueSettings,
    Settings,
    ShellSettings,
    SlurmSettings,
    SshSettings,
)

# -- paths of settings files; nothing is opened here

FILE_NAME = "clbalance.toml"
SYSTEM_FILE = Path("/etc/clbalance") / FILE_NAME


def settings_files(environment: Mapping[str, str], folder: Path, system_file: Path = SYSTEM_FILE) -> tuple[Path, ...]:
    """The settings files to read if they exist, strongest first; `folder` is the user's working directory.

    Folders above it are not searched: the settings must not depend on where a home or a scratch disk is mounted.
    """
    if named := environment.get("CLBALANCE_CONFIG"):
        return () if named == os.devnull else (folder / named,)
    return (folder / FILE_NAME, *_user_file(environment), system_file)


def _user_file(environment: Mapping[str, str]) -> tuple[Path, ...]:
    folder = user_folder(environment)
    return () if folder is None else (folder / FILE_NAME,)


DEFAULT = "default"
COMMAND_LINE = "command line"


def load_settings(
    environment: Mapping[str, str],
    folder: Path,
    command_line: Mapping[str, Value] | None = None,
    *,
    system_file: Path = SYSTEM_FILE,
) -> Settings:
    """The settings for a user in `folder`; `command_line` holds the typed values by the names of `KEYS`.

    Raises `SettingsError` for a malformed or untrusted file, and for a bad value.
    """
    layers = [
        *clush_settings(environment, folder),
        *reversed(list(_documents(environment, folder, system_file))),
        *_environment(environment),
        _command_line(command_line or {}),
    ]
    found: dict[str, _Setting] = {}
    for layer in layers:
        found |= {path: _Setting(value, layer.origin) for path, value in layer.values.items()}
    return replace(
        _settings(found),
        nodes=tuple(facts for layer in layers for facts in layer.nodes),
        groups=tuple(policy for layer in layers for policy in layer.groups),
        plugins=reduce(lambda weaker, layer: layer.plugins.over(weaker), layers, PluginTables()),
    )


@dataclass(frozen=True, slots=True)
class _Setting:
    value: Value
    origin: str


def _documents(environment: Mapping[str, str], folder: Path, system_file: Path) -> Iterator[Document]:
    """The settings files that exist, strongest first."""
    required = bool(environment.get("CLBALANCE_CONFIG"))
    for path in settings_files(environment, folder, system_file):
        if not required and not _is_there(path):
            continue  # before the import: tomllib takes 10 ms, and most machines have no file
        from clbalance.settings.document import checked
        from clbalance.settings.toml_file import read_toml

        document = checked(str(path), read_toml(path))
        yield _with_paths(document, path.parent, environment)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False  # no settings in a folder that we may not read; after `sudo -u` the working directory may be one


def _with_paths(document: Document, folder: Path, environment: Mapping[str, str]) -> Document:
    """Make the document's paths absolute: relative to the file's folder, or to home for `~/`."""
    named = document.values.get("groups_conf")
    if not isinstance(named, str):
        return document
    home = environment.get("HOME", "")
    path = Path(home, named[2:]) if named.startswith("~/") and home else folder / named
    return replace(document, values={**document.values, "groups_conf": str(path)})


def _environment(environment: Mapping[str, str]) -> Iterator[Document]:
    """Settings from environment variables. An empty variable counts as not set, as in XDG and NO_COLOR."""
    for name, path in VARIABLES.items():
        if text := environment.get(name):
            value = KEYS[path].read_text(text)
            if isinstance(value, Misfit):
                raise misfit("environment", name, KEYS[path], value)
            yield Document(origin=name, values={path: value})


def _command_line(typed: Mapping[str, Value]) -> Document:
    values = {path: fitting(COMMAND_LINE, path, KEYS[path], value) for path, value in typed.items()}
    return Document(origin=COMMAND_LINE, values=values)


def _settings(found: Mapping[str, _Setting]) -> Settings:
    values = {path: setting.value for path, setting in found.items()}
    return Settings(
        ssh=_ssh(values),
        policy=_policy(values),
        queue=_queue(values),
        gpus=GpuSettings(hide=_text(values.get("gpus.hide")) or GpuSettings().hide),
        thresholds={name: number_of(value) for name, value in _below("thresholds.", values)},
        rebalance={name: number_of(value) for name, value in _below("rebalance.", values)},
        slurm=SlurmSettings(nodes=values.get("slurm.nodes") is True, folder=_text(values.get("slurm.folder"))),
        engines=_engines(values),
        shell=_shell(values),
        top_keys=_top_keys(values),
        entry_points=_entry_points(values),
        prices=PriceSettings(
            currency=_text(values.get("prices.currency")) or "",
            cpu_hour=number_of(values.get("prices.cpu_hour")),
            gpu_hour=number_of(values.get("prices.gpu_hour")),
        ),
        groups_conf=_text(values.get("groups_conf")),
        origins={path: found[path].origin if path in found else DEFAULT for path in KEYS},
    )


def _ssh(values: Mapping[str, Value]) -> SshSettings:
    plain = SshSettings()
    connect_timeout_s = number_of(values.get("ssh.connect_timeout_s"))
    probe_timeout_s = number_of(values.get("ssh.probe_timeout_s"))
    fanout = number_of(values.get("ssh.fanout"))
    return SshSettings(
        options=_text(values.get("ssh.options")) or plain.options,
        path=_text(values.get("ssh.path")) or plain.path,
        user=_text(values.get("ssh.user")),
        connect_timeout_s=plain.connect_timeout_s if connect_timeout_s is None else connect_timeout_s,
        probe_timeout_s=plain.probe_timeout_s if probe_timeout_s is None else probe_timeout_s,
        fanout=plain.fanout if fanout is None else int(fanout),
        topology=_text(values.get("ssh.topology")) or plain.topology,
        gateway_python=_text(values.get("ssh.gateway_python")) or plain.gateway_python,
        control_persist_s=number_of(values.get("ssh.control_persist_s", plain.control_persist_s)),
    )


def _shell(values: Mapping[str, Value]) -> ShellSettings:
    plain = ShellSettings()
    words = values.get("shell.confirm", plain.confirm)
    most = number_of(values.get("shell.confirm_nodes", plain.confirm_nodes))
    assert isinstance(words, tuple)
    return ShellSettings(confirm=words, confirm_nodes=None if most is None else int(most))


def _engines(values: Mapping[str, Value]) -> Mapping[str, str]:
    found = values.get("engine", {})
    assert isinstance(found, Mapping)
    return {group: engine for group, engine in found.items() if isinstance(engine, str)}


def _top_keys(values: Mapping[str, Value]) -> Mapping[str, tuple[str, ...]]:
    found = values.get("top.keys", {})
    assert isinstance(found, Mapping)
    return {name: keys for name, keys in found.items() if isinstance(keys, tuple)}


def _entry_points(values: Mapping[str, Value]) -> EntryPoints:
    scorers = values.get("plugins.scorers", {})
    assert isinstance(scorers, Mapping)
    names = {}
    for kind in ("filters", "groups", "notifiers"):
        found = values.get(f"plugins.{kind}", ())
        assert isinstance(found, tuple)
        names[kind] = found
    return EntryPoints(
        scorers={name: weight for name, weight in scorers.items() if isinstance(weight, int | float)}, **names
    )


def _policy(values: Mapping[str, Value]) -> PolicySettings:
    plain = PolicySettings()
    weights = {name: number_of(value) for name, value in _below("policy.weights.", values)}
    suspect_after = number_of(values.get("policy.suspect_after", plain.suspect_after))
    return PolicySettings(
        name=_text(values.get("policy.name")) or plain.name,
        queue=_text(values.get("policy.queue")) or plain.queue,
        weights={name: weight for name, weight in weights.items() if weight is not None},
        max_age_s=number_of(values.get("policy.max_age_s")),
        shortlist_age_s=number_of(values.get("policy.shortlist_age_s", plain.shortlist_age_s)),
        suspect_after=None if suspect_after is None else int(suspect_after),
    )


def _queue(values: Mapping[str, Value]) -> QueueSettings:
    plain = QueueSettings()
    fair_share = number_of(values.get("queue.fair_share"))
    half_life_s = number_of(values.get("queue.half_life_s"))
    return QueueSettings(
        fair_share=plain.fair_share if fair_share is None else fair_share,
        half_life_s=plain.half_life_s if half_life_s is None else half_life_s,
    )


def _below(prefix: str, values: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    for path, value in values.items():
        if path.startswith(prefix):
            yield path.removeprefix(prefix), value


def _text(value: Value) -> str | None:
    """A value that was checked as a `Text`, or None."""
    assert value is None or isinstance(value, str)
    return value
