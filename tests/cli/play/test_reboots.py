"""Reboots inside a whole run: what comes back, what does not, jobs that are still there, and an interruption."""

import json
import signal

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import LabNode
from tests.cli.command import Command, ended, eventually
from tests.cli.held_jobs import detached, held, let_go
from tests.cli.play.test_play import book, home, nodes_of

_BOOK = """
name: kernel
order: name
max_fail_percentage: 100
drain: {{deadline: 1s, on_deadline: force, reason: kernel}}
health: {{run: node-health, fails: 1, every: 1s, within: 60s}}
steps:
  - reboot: {{within: {within}}}
    name: restart
  - name: after
    run: touch "$HOME/after"
"""


def _boots(lab: Lab) -> list[str]:
    return [node.boot_id() for node in lab.nodes]


def _is_restarting(node: LabNode) -> bool:
    """Whether only its init is left."""
    return len(node.processes()) == 1


def _boot_after(node: LabNode, before: str) -> str:
    """Its next boot_id, once its sshd listens."""
    eventually(lambda: node.boot_id() != before and node.folder.sshd_pid.exists())
    return node.boot_id()


def test_a_node_goes_on_in_its_next_boot_and_one_that_comes_back_sick_stays_drained(
    clbalance: Command, lab: Lab
) -> None:
    lab.nodes[1].load(reboot="sick", reboot_s=0.1)
    before = _boots(lab)
    done = clbalance("play", book(clbalance, _BOOK.format(within="2m")), "-w", "node[1-2]", "--json")
    assert done.rc == 4
    assert [old != now for old, now in zip(before, _boots(lab), strict=True)] == [True] * 2 + [False] * 6
    found = nodes_of(done.stdout)
    assert (found["node1"]["state"], found["node2"]["state"]) == ("ok", "failed")
    assert "health: sick: exit code 2" in found["node2"]["reason"]
    assert all((home(clbalance, node) / "after").exists() for node in ("node1", "node2"))
    rows = {row.split()[0]: row for row in clbalance("load", "-w", "node[1-2]").lines[1:]}
    assert ("drained" in rows["node1"], "failed: health: sick" in rows["node2"]) == (False, True), rows


def test_a_node_that_is_not_booted_anew_in_time_has_failed_and_nothing_more_is_done_there(
    clbalance: Command, lab: Lab
) -> None:
    lab.nodes[0].load(reboot="same", reboot_s=0.1)
    lab.nodes[1].load(reboot="never")
    done = clbalance("play", book(clbalance, _BOOK.format(within="4s")), "-w", "node[1-2]", "--json")
    found = nodes_of(done.stdout)
    assert done.rc == 4
    for node in ("node1", "node2"):
        assert found[node]["state"] == "failed"
        assert "restart: not back after" in found[node]["reason"]
        assert not (home(clbalance, node) / "after").exists()
    assert all(any(node.folder.var.glob("clbalance-*/drain")) for node in lab.nodes[:2]), "they stay drained"


def test_no_node_with_jobs_is_rebooted_whatever_the_drain_has_forced(clbalance: Command, lab: Lab) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    before = _boots(lab)
    name = book(clbalance, _BOOK.format(within="2m"))
    done = clbalance("play", name, "-w", "node1", "--json")
    assert done.rc == 4
    assert nodes_of(done.stdout)["node1"]["reason"] == "restart: not rebooted: 1 job still runs there"
    assert _boots(lab) == before
    let_go(clbalance)
    assert clbalance("wait", number).rc == 0
    assert clbalance("play", "--continue").rc == 0
    assert _boots(lab)[0] != before[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_run_that_ends_during_a_reboot_does_not_reboot_that_node_again_unless_told(
    clbalance: Command, lab: Lab, number: signal.Signals
) -> None:
    node = lab.nodes[0]
    node.load(reboot_s=5.0)
    before = node.boot_id()
    play = clbalance.start("play", book(clbalance, _BOOK.format(within="2m")), "-w", "node1", "-q")
    eventually(lambda: _is_restarting(node))
    play.send_signal(number)
    assert ended(play) == (130 if number is signal.SIGINT else -signal.SIGKILL)
    once = _boot_after(node, before)
    left = clbalance("play", "--continue")
    assert (left.rc, "node1: a step may have run" in left.stderr) == (4, True), left.stderr
    (shown,) = json.loads(clbalance("play", "--show", "--json").stdout)["nodes"]
    assert (shown["state"], shown["step"], node.boot_id()) == ("uncertain", "restart", once)
    assert clbalance("play", "--continue", "--repeat-uncertain").rc == 0
    assert node.boot_id() not in (before, once)


def test_a_reboot_that_is_marked_idempotent_is_repeated(clbalance: Command, lab: Lab) -> None:
    node = lab.nodes[0]
    node.load(reboot_s=5.0)
    before = node.boot_id()
    text = _BOOK.format(within="2m").replace("    name: restart", "    name: restart\n    idempotent: true")
    play = clbalance.start("play", book(clbalance, text), "-w", "node1", "-q")
    eventually(lambda: _is_restarting(node))
    play.send_signal(signal.SIGKILL)
    ended(play)
    once = _boot_after(node, before)
    assert clbalance("play", "--continue").rc == 0
    assert node.boot_id() != once
