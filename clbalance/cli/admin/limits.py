"""Carry out `config check --limits`: read a file of limits as the nodes will."""

from pathlib import Path

from clbalance.cli.console import Console
from clbalance.errors import ExitCode, NodeNameError, SettingsError, UsageError
from clbalance.node.agent.lease.limits import Limit, LimitsError, parse_limits
from clbalance.nodeset import NodeSets
from clbalance.render import messages
from clbalance.render.reports.admin.config import CheckReport
from clbalance.units import counted

_MOST_BYTES = 64 << 10  # as the agent


def check_limits(console: Console, file: Path, *, and_settings: bool) -> int:
    """The exit code: 0. Raises the first error. Whether users and groups exist is known on the nodes only."""
    if and_settings:
        raise UsageError("`--limits` takes the place of FILE", hint="check them one after the other")
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise SettingsError(f"{file}: larger than {_MOST_BYTES >> 10} KiB", hint="is that the right file?")
        found = parse_limits(content.decode())
        for limit in found:
            _check_nodes(file, limit)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", hint="name a file of limits") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: it is not UTF-8", hint="is that the right file?") from error
    except LimitsError as error:
        hint = "a line is `Default`, `User=NAME` or `Group=NAME`, perhaps `Nodes=SET`, then `MaxJobs=2` and so on"
        raise SettingsError(f"{file}: {error}", hint=hint) from error
    console.say(messages.note(f"{file}: in order: {counted(len(found), 'limit')}"))
    console.show(CheckReport((str(file),)))
    return ExitCode.DONE


def _check_nodes(file: Path, limit: Limit) -> None:
    """The node takes a set as a text; its clients would refuse every job if they could not read it."""
    try:
        if limit.nodes:
            NodeSets(None).expand(limit.nodes)
    except NodeNameError as error:
        raise SettingsError(f"{file}: line {limit.line}: {error.message}", hint=error.hint) from error
