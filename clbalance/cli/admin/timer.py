"""Carry out `config timer`: print systemd units and a crontab line that run `rebalance`.

Environment variables that select nodes, settings or state are copied into them: systemd and cron do not pass them on.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from clbalance.cli.console import Console
from clbalance.errors import ExitCode, UsageError
from clbalance.nodeset import NodeSets
from clbalance.render.reports.admin.timer import TimerReport, allowed_every, unusable
from clbalance.settings.keys import VARIABLES
from clbalance.settings.load import FILE_NAME, load_settings
from clbalance.units import parse_duration
from clbalance.wiring.folders import working_directory
from clbalance.wiring.plugins.wanted import configured_groups

_PARTS = ("service", "timer", "cron")
_PATHS = ("CLBALANCE_CONFIG", "CLBALANCE_GROUPS_CONF", "CLBALANCE_STATE_DIR", "CLUSTERSHELL_CFGDIR")
_CARRIED = (*_PATHS, "XDG_CONFIG_HOME", "XDG_STATE_HOME", *VARIABLES)


def show_timer(console: Console, *, groups: Sequence[str], every: str, apply: bool, only: str | None) -> int:
    """The exit code: 0. Raises errors that would otherwise show only when the timer runs, such as unknown groups."""
    if only is not None and only not in _PARTS:
        raise UsageError(f"`--only` cannot be {only!r}", hint=f"one of {', '.join(_PARTS)}")
    _check_groups(groups)
    named = [word for group in groups for word in ("-g", group)] or ["-a"]
    environment = {name: os.environ[name] for name in sorted(set(_CARRIED)) if os.environ.get(name)}
    is_bound = any(not environment.get(name, "/").startswith("/") for name in _PATHS)
    folder = working_directory() if is_bound or (working_directory() / FILE_NAME).is_file() else None
    report = TimerReport(
        program=this_program(),
        arguments=("rebalance", *named, *(("--apply",) if apply else ()), "-q"),
        every_s=_every_s(every),
        environment=environment,
        folder=None if folder is None else str(folder),
        units=_units(),
        parts=_PARTS if only is None else (only,),
    )
    odd = unusable([*report.program, *report.arguments, report.folder or "", *report.environment.values()])
    if odd is not None:
        raise UsageError(f"{odd!r} cannot be written in a unit or a crontab", hint="rename it, or write them by hand")
    console.show(report)
    return ExitCode.DONE


def this_program() -> tuple[str, ...]:
    """The words that start this program from any folder. Links are not resolved: their target may move on upgrade."""
    called = Path(sys.argv[0]).absolute()
    return (str(called),) if called.name == "clbalance" else (sys.executable, "-m", "clbalance")


def _check_groups(groups: Sequence[str]) -> None:
    settings = load_settings(os.environ, working_directory())
    sets = NodeSets(configured_groups(settings))
    for group in groups:
        sets.group(group)
    if not groups:
        sets.all()


def _every_s(typed: str) -> int:
    seconds = parse_duration(typed, "`--every`")
    if seconds not in allowed_every():
        raise UsageError(
            f"a crontab cannot express `--every {typed}`",
            hint="1, 2, 3, 4, 5, 6, 10, 12, 15, 20 or 30 minutes, 1, 2, 3, 4, 6, 8, 12 or 24 hours: `5m`, `1h`",
        )
    return int(seconds)


def _units() -> str:
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    return f"{configured if configured.startswith('/') else '~/.config'}/systemd/user"
