"""Real nodes that stop or babble in the middle of a start: each costs one deadline, and is named."""

import time

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.cli.held_jobs import LATER
from tests.cli.stalled_agents import replace_python, stall_after
from tests.waiting import SOON_S


@pytest.fixture
def sick(lab: Lab) -> Lab:
    """`node1` is the best node."""
    for name in ("node2", "node3"):
        lab.node(name).load(r1m=1.0)
    return lab


@pytest.mark.parametrize("event", ["hello", "claimed", "admitted"])
def test_a_node_that_stalls_is_passed_over(sick: Lab, clbalance: Command, event: str) -> None:
    stall_after(sick.node("node1"), event)
    began = time.monotonic()
    done = clbalance("run", *LATER, "-w", "node[1-2]", "-c", "echo $CLBALANCE_NODE")
    assert (done.rc, done.text) == (0, "node2\n")
    assert time.monotonic() - began < SOON_S


def test_of_two_copies_the_stalled_one_is_to_blame(sick: Lab, clbalance: Command) -> None:
    stall_after(sick.node("node1"), "claimed")
    done = clbalance("run", *LATER, "-w", "node[1-2]", "--pick", "2", "--", "true")
    assert done.rc == 125
    assert "node1: timed out: no answer to admit within 6 s" in done.stderr
    assert "node2:" not in done.stderr
    assert clbalance("run", "-q", "-w", "node2", "-c", "echo free").text == "free\n"


def test_tasks_end_although_an_agent_was_stopped_just_after_its_slot_came_up(sick: Lab, clbalance: Command) -> None:
    stall_after(sick.node("node1"), "started", once=True)
    began = time.monotonic()
    done = clbalance("run", *LATER, "-w", "node[1-3]", "--array", "0-11", "-c", "echo ran")
    assert sorted(line.split(": ")[1] for line in done.lines) == ["ran"] * 12
    assert (done.rc, done.stderr.splitlines()[-1]) == (0, "clbalance: 12 of 12 tasks completed")
    assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize("event", ["claimed", "admitted"])
def test_a_terminal_shows_who_is_waited_for(sick: Lab, clbalance: Command, event: str) -> None:
    stall_after(sick.node("node1"), event)
    terminal = clbalance.on_terminal("run", *LATER, "-w", "node[1-2]", "--pick", "2", "--", "true")
    terminal.read_until(b"1/2 nodes have answered, waiting for node1")
    assert terminal.end() == 125


@pytest.mark.parametrize(
    "text",
    [
        "exec yes garbage",
        "exec yes garbage >&2",
        "exec cat /dev/zero",
        "exec yes ''",
        "while :; do printf '\\036CLB1 0123 {}\\n'; done",
    ],
    ids=["lines", "complaints", "one line", "empty lines", "frames of somebody else"],
)
def test_a_python_that_babbles_is_garbled_long_before_its_deadline(sick: Lab, clbalance: Command, text: str) -> None:
    replace_python(sick.node("node1"), text)
    began = time.monotonic()
    done = clbalance("run", "-t", "600s", "-u", "600s", "-w", "node1", "--", "true")
    assert done.rc == 125
    assert "garbled answer: " in done.stderr
    assert time.monotonic() - began < SOON_S


def test_a_python_that_greets_before_it_works_is_no_harm(sick: Lab, clbalance: Command) -> None:
    replace_python(sick.node("node1"), "seq 10000 | sed 's/^/Welcome /'\nPATH=${PATH#*:}\nexec python3 \"$@\"")
    assert clbalance("run", "-q", "-w", "node1", "-c", "echo ran").text == "ran\n"
