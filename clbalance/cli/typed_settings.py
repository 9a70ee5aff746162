"""The settings that are given on the command line."""

from pathlib import Path

from clbalance.cli.options import ReachOptions
from clbalance.errors import UsageError
from clbalance.units import parse_duration


def typed(ssh: ReachOptions, groups_conf: Path | None = None) -> dict[str, str | float | None]:
    """The options that were given on the command line, by the keys of the settings."""
    if ssh.connections is not None and ssh.connections < 1:
        raise UsageError(f"`-f` cannot be {ssh.connections}", hint="a number of connections, 1 or more")
    given: dict[str, str | float | None] = {
        "ssh.user": ssh.user,
        "ssh.fanout": ssh.connections,
        "ssh.connect_timeout_s": _seconds(ssh.connect_timeout, "`-t`"),
        "ssh.probe_timeout_s": _seconds(ssh.command_timeout, "`-u`"),
        "ssh.topology": ssh.gateways,
        "groups_conf": None if groups_conf is None else str(groups_conf),
    }
    return {key: value for key, value in given.items() if value is not None}


def _seconds(text: str | None, option: str) -> float | None:
    return None if text is None else parse_duration(text, option)
