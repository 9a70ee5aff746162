"""`config connections`: what is kept for the next call, and its end."""

import json
from collections.abc import Iterator

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, nothing_left
from tests.kept_connections import kept_in_a_folder


@pytest.fixture
def keeping(clbalance: Command) -> Iterator[Command]:
    """Calls that keep their connections for a minute, in a place of their own."""
    with kept_in_a_folder() as runtime:
        env = {**clbalance.env, "CLBALANCE_CONTROL_PERSIST": "60", "XDG_RUNTIME_DIR": str(runtime)}
        yield Command(env=env, folder=clbalance.folder, opened=clbalance.opened)


def kept(command: Command) -> dict[str, int]:
    """The sessions over each connection."""
    found = json.loads(command("config", "connections", "--json").text)["connections"]
    return {one["node"]: one["sessions"] for one in found}


def test_the_connections_of_a_call_are_listed_and_ended(lab: Lab, keeping: Command) -> None:
    with nothing_left(lab):
        assert keeping("load", "-w", "node[1-3]").rc == 0
        assert kept(keeping) == {"node1": 0, "node2": 0, "node3": 0}
        assert keeping("config", "connections").lines[1].split()[:2] == ["node1", "0"]
        done = keeping("config", "connections", "--end")
        assert (done.rc, done.stderr) == (0, "clbalance: ended 3 connections\n")
        assert kept(keeping) == {}


def test_a_job_over_one_goes_on_after_its_end_was_asked_for(keeping: Command) -> None:
    job = keeping.start("run", "-q", "-w", "node1", "-c", "touch up; until [ -e go ]; do sleep 0.05; done; echo done")
    while not (keeping.folder / "up").exists():
        assert job.poll() is None
    assert kept(keeping) == {"node1": 1}
    assert keeping("config", "connections", "--end").rc == 0
    (keeping.folder / "go").touch()
    out, _ = job.communicate(timeout=60)
    assert (job.returncode, out) == (0, b"done\n")


def test_doctor_connects_anew_because_it_checks_the_login(keeping: Command) -> None:
    assert keeping("load", "-w", "node1").rc == 0
    keeping("doctor", "-w", "node[1-2]")
    assert kept(keeping) == {"node1": 0}, "node2 was asked over a connection that nobody keeps"


def test_without_any_the_setting_is_named(clbalance: Command) -> None:
    with kept_in_a_folder() as runtime:
        done = clbalance("config", "connections", env={"XDG_RUNTIME_DIR": str(runtime)})
    assert (done.rc, done.text) == (0, "")
    assert done.stderr == "clbalance: no connection is kept (`ssh.control_persist_s` is off)\n"


def test_how_long_they_are_kept_is_a_setting_with_bounds(clbalance: Command) -> None:
    done = clbalance("load", "-w", "node1", env={"CLBALANCE_CONTROL_PERSIST": "0"})
    assert done.rc == 2
    assert "CLBALANCE_CONTROL_PERSIST" in done.stderr
