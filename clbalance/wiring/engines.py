"""The batch systems that may run jobs in our place: which one is meant, and how it is reached."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from clbalance.errors import UsageError
from clbalance.settings.values import Settings

if TYPE_CHECKING:  # few jobs have a batch system
    from clbalance.ports.engine import Engine

OURS = "ssh"
SLURM = "slurm"
ENGINES = (OURS, SLURM)
"""As after `--engine`."""


def engine_meant(typed: str | None, settings: Settings, group: str | None) -> str:
    """The batch system for a job; empty: we choose its nodes. `UsageError` for an unknown one."""
    if typed is not None and typed not in ENGINES:
        raise UsageError(f"`--engine` cannot be {typed!r}", hint=f"one of {', '.join(ENGINES)}")
    engine = typed or (settings.engines.get(group, OURS) if group is not None else OURS)
    return "" if engine == OURS else engine


def engines_of(settings: Settings) -> "Callable[[str], Engine]":
    """Makes the batch system of a name, once."""

    @cache
    def engine(name: str) -> "Engine":
        from clbalance.transport.slurm.engine import SlurmEngine

        assert name == SLURM, "there is no other"
        within_s = settings.ssh.connect_timeout_s + settings.ssh.probe_timeout_s
        return SlurmEngine(_folder(settings), answer_within_s=within_s, environ=os.environ)

    return engine


def _folder(settings: Settings) -> Path:
    """Where the folders of jobs lie. Homes are shared in most clusters that have a Slurm."""
    if settings.slurm.folder is not None:
        return Path(settings.slurm.folder).expanduser()
    if chosen := os.environ.get("CLBALANCE_STATE_DIR"):
        return Path(chosen).absolute() / SLURM
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".local/state") / "clbalance" / SLURM
