"""What `doctor` finds on this host, without asking any node."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from clbalance.checkup import Finding, note, wrong
from clbalance.cli.here import here
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.errors import SettingsError, StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.policy.health_here import group_findings, open_files_findings, ssh_findings
from clbalance.settings.load import load_settings
from clbalance.settings.values import Settings
from clbalance.store.location import state_directory, this_machine
from clbalance.store.sqlite import SqliteStore
from clbalance.transport.file_limit import raise_file_limit
from clbalance.transport.group_check import look_at_groups
from clbalance.transport.groups import ConfiguredGroups, load_groups

_VERSION_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What was found; without `reaches_nodes` it is not known which nodes there are, or how to ask them."""

    findings: tuple[Finding, ...]
    reaches_nodes: bool


def look_here(nodes: NodeOptions, ssh: SshOptions) -> Here:
    """Every check that needs no node. Raises `SettingsError` for a groups file that was typed, and only for that."""
    found = [*_ssh(), *_state()]
    can_reach = shutil.which("ssh") is not None
    try:
        settings = load_settings(os.environ, here())
    except SettingsError as error:
        return Here(findings=(*found, wrong("settings", error.message, error.hint)), reaches_nodes=False)
    found += open_files_findings(raise_file_limit(), ssh.fanout or settings.ssh.fanout)
    try:
        groups = _groups(nodes, settings)
    except SettingsError as error:
        if nodes.groups_conf is not None:
            raise
        return Here(findings=(*found, wrong("groups", error.message, error.hint)), reaches_nodes=False)
    if groups is not None:
        seen = look_at_groups(groups)
        found += [wrong("groups", problem.message, problem.hint) for problem in seen.problems]
        found += group_findings(seen.empty, seen.unusable)
    elif not nodes.names_nodes:
        return Here(findings=(*found, _no_nodes()), reaches_nodes=False)
    return Here(findings=tuple(found), reaches_nodes=can_reach)


def _no_nodes() -> Finding:
    what = "no nodes named and no groups configured: only this host was looked at"
    hint = "`clbalance doctor node[1-4]`, or copy groups.conf.example to ~/.config/clustershell/groups.conf"
    return note("nodes", what, hint)


def _groups(nodes: NodeOptions, settings: Settings) -> ConfiguredGroups | None:
    named = nodes.groups_conf or settings.groups_conf
    return load_groups(Path(named) if named else None)


def _ssh() -> Iterator[Finding]:
    program = shutil.which("ssh")
    version = None if program is None else ""
    if program is not None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            asked = subprocess.run(
                [program, "-V"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_VERSION_WITHIN_S,
                check=False,
            )
            version = (asked.stderr or asked.stdout).decode(errors="replace").strip()
    return ssh_findings(version)


def _state() -> Iterator[Finding]:
    try:
        place = state_directory(os.environ, this_machine())
        SqliteStore.open(place.path).close()
    except StoreError as error:
        yield wrong("state", error.message, error.hint)
        return
    if place.note:
        yield note("state", place.note, "set `CLBALANCE_STATE_DIR` to a folder of your own on a disk of this machine")
