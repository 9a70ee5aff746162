"""Start-up stays quick because what is not needed is not imported (docs/design/startup.md)."""

import subprocess
import sys

from .command import Command


def packages(command: Command, *arguments: str) -> set[str]:
    """Every package of which the call imports something."""
    return {name.partition(".")[0] for name in modules(command, *arguments)}


def modules(command: Command, *arguments: str) -> set[str]:
    """Every module that the call imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "clbalance", *arguments],
        env=dict(command.env),
        cwd=command.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


def test_the_version_is_told_before_anything_heavy_is_packages(alone: Command) -> None:
    assert packages(alone, "--version").isdisjoint({"typer", "ClusterShell", "rich", "msgspec", "sqlite3", "psutil"})


def test_help_imports_nothing_that_reaches_nodes_or_draws_tables(alone: Command) -> None:
    for arguments in (("--help",), ("load", "--help"), ("run", "--help"), ("lab", "up", "--help")):
        found = packages(alone, *arguments)
        assert found.isdisjoint({"ClusterShell", "rich", "msgspec", "sqlite3", "psutil", "paramiko"}), arguments


def test_load_in_a_pipe_imports_no_drawing(clbalance: Command) -> None:
    assert packages(clbalance, "load", "-w", "node1").isdisjoint({"rich", "psutil", "paramiko", "prompt_toolkit"})


def test_load_does_not_import_what_shows_jobs(clbalance: Command) -> None:
    found = modules(clbalance, "load", "-w", "node1")
    assert found.isdisjoint({"clbalance.task", "clbalance.leftovers"})
    assert not [name for name in found if name.startswith("clbalance.render.reports.")]
