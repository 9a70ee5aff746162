"""`clbalance top` without a live screen: one frame as text, and a value a round."""

import json
import signal

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, send


def test_once_prints_a_frame_with_silent_nodes_as_rows(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").load(r1m=9.0)
    lab.node("node3").kill()
    done = clbalance("top", "--once", "-w", "node[1-3]", "--filter", "node")
    assert (done.rc, done.lines[0][:29]) == (0, "3 nodes: 1 up, 1 busy, 1 down")
    assert [line.split()[0] for line in done.lines[1:]] == ["NODE", "node1", "node2", "node3"]
    assert b"\x1b" not in done.stdout


def test_a_view_of_jobs_and_users_shows_what_runs(clbalance: Command) -> None:
    assert clbalance("run", "-w", "node1", "--detach", "-c", "sleep 60").rc == 0
    jobs = clbalance("top", "--once", "-w", "node[1-2]", "--view", "jobs")
    assert [line.split()[:1] + line.split()[2:4] for line in jobs.lines[2:]] == [["1", "RUNNING", "node1"]]
    users = json.loads(clbalance("top", "--once", "-w", "node[1-2]", "--json").stdout)["users"]
    assert [(one["running"], one["node_set"]) for one in users] == [(1, "node1")]
    assert clbalance("cancel", "1").rc == 0


def test_json_is_a_value_a_round(clbalance: Command) -> None:
    child = clbalance.start("top", "-w", "node[1-2]", "--json", "--every", "1s")
    assert child.stdout is not None
    rounds = [json.loads(child.stdout.readline()) for _ in range(2)]
    send(child, signal.SIGTERM)
    assert ended(child) == 143
    assert [(one["schema"], one["round"]) for one in rounds] == [(1, 1), (1, 2)]
    assert [node["name"] for node in rounds[1]["nodes"]] == ["node1", "node2"]
    assert {group["name"] for group in rounds[1]["groups"]} >= {"rack1"}


def test_if_no_node_answers_it_says_so_by_its_code(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").kill()
    assert clbalance("top", "--once", "-w", "node1").rc == 4


@pytest.mark.parametrize("typed", ["0", "0.5", "soon"])
def test_an_interval_that_makes_no_sense_is_told(clbalance: Command, typed: str) -> None:
    done = clbalance("top", "--once", "-w", "node1", "--every", typed)
    assert (done.rc, "`--every`" in done.stderr) == (2, True)
