"""`--topology`: nodes behind gateways are asked through these, on real ssh servers, and faults of gateways are told."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.transport.reach import this_node
from tests.cli.command import Command

BEHIND = "node[3-4]"


def routes(command: Command, text: str) -> Command:
    """The command with this topology. On the lab's nodes, this Python is the one that has ClusterShell."""
    file = command.folder / "topology.conf"
    file.write_text(f"[routes]\n{text}")
    patient = {"CLBALANCE_CONNECT_TIMEOUT": "120", "CLBALANCE_PROBE_TIMEOUT": "120"}  # however busy the machine is
    gateways = {"CLBALANCE_TOPOLOGY": str(file), "CLBALANCE_GATEWAY_PYTHON": sys.executable}
    return replace(command, env={**command.env, **patient, **gateways})


@pytest.fixture
def through_two(clbalance: Command) -> Command:
    return routes(clbalance, f"{this_node()}: node[1-2]\nnode[1-2]: {BEHIND}\n")


def python(folder: Path, *options: str) -> str:
    """A python3 that is called with these options."""
    file = folder / "python-of-gateways"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} {" ".join(options)} "$@"\n')
    file.chmod(0o755)
    return str(file)


def states(command: Command, nodes: str, *options: str) -> dict[str, tuple[str, str | None]]:
    """The state and the reason of each node."""
    shown = json.loads(command("load", "-w", nodes, "--json", *options).stdout)["nodes"]
    return {one["name"]: (one["state"], one["reason"]) for one in shown}


def test_nodes_answer_through_gateways_and_gateways_and_others_directly(through_two: Command) -> None:
    assert set(states(through_two, "node[1-5]").values()) == {("up", None)}


def test_a_gateway_may_be_behind_another(clbalance: Command) -> None:
    chain = routes(clbalance, f"{this_node()}: node1\nnode1: node2\nnode2: {BEHIND}\n")
    assert set(states(chain, BEHIND).values()) == {("up", None)}


def test_a_gateway_without_clustershell_is_told_for_its_nodes_alone(through_two: Command) -> None:
    bare = python(through_two.folder, "-I", "-S")
    command = replace(through_two, env={**through_two.env, "CLBALANCE_GATEWAY_PYTHON": bare})
    found = states(command, "node[3-5]")
    assert found["node5"] == ("up", None)
    for node in ("node3", "node4"):
        state, reason = found[node]
        assert state == "unknown"
        assert reason is not None
        assert "its python3 has no ClusterShell" in reason
        assert "gateway node" in reason


def test_nodes_of_a_dead_gateway_are_asked_through_another(lab: Lab, through_two: Command) -> None:
    lab.node("node1").kill()
    assert set(states(through_two, BEHIND).values()) == {("up", None)}


def test_without_a_gateway_left_the_reason_is_that_of_the_gateway(lab: Lab, through_two: Command) -> None:
    for name in ("node1", "node2"):
        lab.node(name).kill()
    for state, reason in states(through_two, BEHIND).values():
        assert state == "down"
        assert reason is not None
        assert reason.startswith("gateway node")
        assert reason.endswith("Connection refused")


def test_a_dead_node_behind_a_gateway_has_a_reason_of_its_own(lab: Lab, through_two: Command) -> None:
    lab.node("node3").kill()
    found = states(through_two, BEHIND)
    assert found["node4"] == ("up", None)
    state, reason = found["node3"]
    assert state == "down"
    assert reason is not None
    assert "gateway" not in reason
    assert reason.endswith("Connection refused")


def test_a_job_runs_on_a_node_that_was_asked_through_a_gateway(through_two: Command) -> None:
    done = through_two("run", "-w", BEHIND, "--pick", "all", "-b", "-c", "echo ran")
    assert (done.rc, done.stdout.count(b"ran")) == (0, 1)


def test_without_a_topology_no_gateway_is_asked(lab: Lab, through_two: Command) -> None:
    for name in ("node1", "node2"):
        lab.node(name).kill()
    assert set(states(through_two, BEHIND, "--topology", "none").values()) == {("up", None)}


def test_a_topology_that_cannot_be_read_is_an_error_before_anything_is_asked(clbalance: Command) -> None:
    done = clbalance("load", "-w", "node1", "--topology", "nowhere.conf")
    assert done.rc == 2
    assert "nowhere.conf: No such file or directory" in done.stderr
