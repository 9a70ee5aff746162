"""Start-up stays quick because what is not needed is not imported (docs/design/startup.md)."""

import subprocess
import sys
from pathlib import Path

import pytest

from .command import Command


def packages(command: Command, *arguments: str) -> set[str]:
    """Every package of which the call imports something."""
    return {name.partition(".")[0] for name in modules(command, *arguments)}


def modules(command: Command, *arguments: str) -> list[str]:
    """Every module that the call imports, in the order in which they are ready."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "clbalance", *arguments],
        env=dict(command.env),
        cwd=command.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return [line.rpartition("|")[2].strip() for line in lines]


def test_the_version_is_told_before_anything_heavy_is_packages(alone: Command) -> None:
    assert packages(alone, "--version").isdisjoint(
        {"typer", "ClusterShell", "rich", "msgspec", "sqlite3", "psutil", "re2"}
    )


def test_a_call_whose_output_cannot_be_written_fails(alone: Command) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "clbalance", "--version"],
            env=dict(alone.env),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    assert done.returncode != 0
    assert b"No space left on device" in done.stderr


def test_help_imports_nothing_that_reaches_nodes_or_draws_tables(alone: Command) -> None:
    for arguments in (("--help",), ("load", "--help"), ("run", "--help"), ("lab", "up", "--help")):
        found = packages(alone, *arguments)
        assert found.isdisjoint({"ClusterShell", "rich", "msgspec", "sqlite3", "psutil", "paramiko", "re2"}), arguments


def test_load_in_a_pipe_imports_no_drawing(clbalance: Command) -> None:
    assert packages(clbalance, "load", "-w", "node1").isdisjoint({"rich", "psutil", "paramiko", "prompt_toolkit"})


def test_sessions_import_nothing_of_tree_mode(alone: Command) -> None:
    names = "import sys, clbalance.transport.clush; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", names], env=dict(alone.env), capture_output=True, text=True, timeout=30, check=True
    )
    assert "ClusterShell.Task" in done.stdout.split()
    assert {"ClusterShell.Propagation", "pickle", "tarfile", "xml.sax", "http.client"}.isdisjoint(done.stdout.split())


def test_copy_imports_paramiko_only_where_a_node_has_no_python(clbalance: Command) -> None:
    (clbalance.folder / "file").touch()
    assert packages(clbalance, "copy", "--help").isdisjoint({"ClusterShell", "rich", "msgspec", "paramiko"})
    assert packages(clbalance, "copy", "-w", "node1", "file", ".").isdisjoint({"rich", "psutil", "paramiko"})


def test_the_engine_of_patterns_is_imported_where_a_pattern_is_typed(clbalance: Command) -> None:
    assert "re2" not in packages(clbalance, "load", "-w", "node1", "--where", "node = node1")
    assert "re2" in packages(clbalance, "load", "-w", "node1", "--where", 'node ~ "1$"')


REPORTS = "clbalance.render.reports."


@pytest.mark.parametrize(
    ("arguments", "own"),
    [
        (("load", "-w", "node1"), {"nodes.load"}),
        (("pick", "-w", "node1"), {"nodes.pick"}),
        (("jobs",), {"jobs.jobs"}),
        (("config", "path"), {"admin.config"}),
        (("run", "-w", "node1", "-c", "true"), {"jobs.run"}),
    ],
    ids=["load", "pick", "jobs", "config path", "run"],
)
def test_a_verb_imports_its_own_report_and_no_other(
    clbalance: Command, arguments: tuple[str, ...], own: set[str]
) -> None:
    found = modules(clbalance, *arguments)
    drawn = {name.removeprefix(REPORTS) for name in found if name.startswith(REPORTS)}
    assert {name for name in drawn if "." in name} == own


def test_load_does_not_import_what_tells_of_jobs(clbalance: Command) -> None:
    found = modules(clbalance, "load", "-w", "node1")
    assert {"clbalance.model.task", "clbalance.model.checkup"}.isdisjoint(found)


def test_pick_does_not_import_what_submits_jobs(clbalance: Command) -> None:
    found = modules(clbalance, "pick", "-w", "node1")
    assert not {name for name in found if name.startswith(("clbalance.cli.run", "clbalance.cli.output"))}


@pytest.mark.parametrize(
    ("arguments", "at_most"),
    [
        (("load", "-w", "node1"), 110),
        (("pick", "-w", "node1"), 104),
        (("run", "-w", "node1", "-c", "true"), 125),
    ],
    ids=["load", "pick", "run"],
)
def test_nodes_are_connected_to_before_the_rest_is_imported(
    clbalance: Command, arguments: tuple[str, ...], at_most: int
) -> None:
    """The modules of ours that come first are counted, so that nobody adds to them unawares."""
    found = modules(clbalance, *arguments)
    first = found[: found.index("clbalance.transport.clush")]
    assert {"sqlite3", "hashlib", "msgspec", "clbalance.store.state", "clbalance.engine.run.run"}.isdisjoint(first)
    assert len([name for name in first if name.startswith("clbalance.")]) <= at_most
