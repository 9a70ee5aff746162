"""A node that has failed several probes in a row, on a cluster: it gets no work, says why, and comes back by itself."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from clbalance.lab.cluster import Lab
from clbalance.model import NodeName
from clbalance.model.node_history import FailureStreak
from clbalance.store.location import state_directory, this_machine
from clbalance.store.state import SqliteStore
from tests.cli.command import Command, impatient
from tests.cli.held_jobs import SOON
from tests.lab_restore import restore
from tests.waiting import eventually

NOW = datetime.now(UTC)


@pytest.fixture
def clbalance(clbalance: Command) -> Command:
    """With the program's own patience for late nodes."""
    return impatient(clbalance)


def has_failed_twice(clbalance: Command, node: str) -> None:
    """Long enough ago for the next failure to count."""
    assert clbalance("load", "-w", "node8").rc == 0  # makes the memory
    with SqliteStore.open(state_directory(clbalance.env, this_machine()).path) as store:
        assert store.failure_streaks([NodeName("node8")])[NodeName("node8")] == FailureStreak()
        store.save_failure_streaks(NOW, {NodeName(node): FailureStreak(silent=2, silent_at_s=1.0)})


def node_of(clbalance: Command, node: str, *options: str) -> dict[str, Any]:
    parsed = json.loads(clbalance("load", "-w", "node[1-2]", *options, "--json").stdout)["nodes"]
    return next(dict(one) for one in parsed if one["name"] == node)


@pytest.mark.parametrize(("fault", "state"), [("kill", "down"), ("hang", "suspect")])
def test_a_node_that_failed_three_times_gets_no_work_until_it_has_answered_twice(
    lab: Lab, clbalance: Command, fault: str, state: str
) -> None:
    has_failed_twice(clbalance, "node1")
    getattr(lab.node("node1"), fault)()
    failing = node_of(clbalance, "node1", *SOON)
    assert (failing["state"], failing["reason"].startswith("3 probes in a row failed: ")) == (state, True)

    restore(lab)
    refused = clbalance("run", "-w", "node1", "--", "true")
    assert (refused.rc, refused.stderr.splitlines()[0]) == (125, "clbalance: 0/1 nodes fit: 1 suspect")
    assert clbalance("run", "-q", "-w", "node1", "--", "true").rc == 0
    assert node_of(clbalance, "node1")["state"] == "up"


def test_a_suspect_that_answers_says_how_far_it_is_from_being_trusted_again(lab: Lab, clbalance: Command) -> None:
    has_failed_twice(clbalance, "node1")
    lab.node("node1").kill()
    assert node_of(clbalance, "node1")["state"] == "down"
    lab.node("node1").boot()
    back = node_of(clbalance, "node1")
    assert (back["state"], back["reason"], back["r1m"] is None) == (
        "suspect",
        "3 probes in a row failed; answered 1 of 2",
        False,
    )


def test_it_can_be_switched_off(lab: Lab, clbalance: Command) -> None:
    (clbalance.folder / "clbalance.toml").write_text('[policy]\nsuspect_after = "off"\n')
    has_failed_twice(clbalance, "node1")
    lab.node("node1").kill()
    assert "in a row" not in node_of(clbalance, "node1")["reason"]
    lab.node("node1").boot()
    assert clbalance("pick", "-w", "node1").rc == 0


def test_a_suspect_that_hangs_delays_no_placement_and_still_comes_back_by_itself(lab: Lab, clbalance: Command) -> None:
    has_failed_twice(clbalance, "node1")
    lab.node("node1").hang()
    assert node_of(clbalance, "node1", *SOON)["state"] == "suspect"

    began = time.monotonic()
    chosen = clbalance("run", "-q", "-t", "120", "-w", "node[1-3]", "-c", "echo $CLBALANCE_NODE")
    assert (chosen.rc, chosen.text in {"node2\n", "node3\n"}) == (0, True)
    message = clbalance("pick", "-t", "120", "-w", "node[1-2]", "--explain")
    assert (message.rc, message.text) == (0, "node2\n")
    assert time.monotonic() - began < 120.0  # which is how long one node may take

    lab.node("node1").thaw()
    assert clbalance("pick", "-w", "node[1-2]", "--pick", "2").rc != 0
    eventually(lambda: clbalance("pick", "-w", "node[1-2]", "--pick", "2").rc == 0)  # a late answer does not count
    assert node_of(clbalance, "node1")["state"] == "up"
