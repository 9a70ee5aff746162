"""Who holds a lease when its client has died: nobody, at once, before the job runs; the job, once it does."""

import signal
import subprocess
from pathlib import Path

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, send
from tests.cli.run.test_run_ends import STUBBORN
from tests.waiting import eventually

from .holding import held, job, leases_held

GONE_WITHIN_S = 60.0
"""Measured: 0.1 to 0.3 s, and a second more for a job that is deaf to TERM. The rest is for a slow machine."""


def is_free(clbalance: Command, node: str) -> bool:
    """Whether all of it can be had."""
    return clbalance("run", "-q", "-w", node, "--exclusive", "--cpus", "4", "--", "true").rc == 0


def reserving(lab: Lab, clbalance: Command) -> "subprocess.Popen[bytes]":
    """A run that has its lease on node1 and waits for node2, whose lock somebody holds."""
    child = clbalance.start("run", "-q", "-w", "node[1-2]", "--pick", "2", "--", "true")
    eventually(lambda: leases_held(lab.node("node1")))
    return child


def test_a_client_killed_while_it_reserves_leaves_no_lease(lab: Lab, clbalance: Command) -> None:
    with held(lab, "node2", "root", "flock", lab.node("node2").folder.var):
        child = reserving(lab, clbalance)
        child.kill()
        ended(child)
        eventually(lambda: not leases_held(lab.node("node1")), GONE_WITHIN_S)
        assert is_free(clbalance, "node1")
    assert is_free(clbalance, "node2")


def test_a_client_stopped_while_it_reserves_leaves_no_lease(lab: Lab, clbalance: Command) -> None:
    with held(lab, "node2", "root", "flock", lab.node("node2").folder.var):
        child = reserving(lab, clbalance)
        assert send(child, signal.SIGINT) < GONE_WITHIN_S
        assert child.returncode == 130
        eventually(lambda: not leases_held(lab.node("node1")), GONE_WITHIN_S)


def test_a_job_whose_client_was_killed_keeps_its_lease_until_it_is_cancelled(lab: Lab, clbalance: Command) -> None:
    with job(clbalance, "-w", "node1", "--exclusive", text=STUBBORN) as child:
        child.kill()
    assert not is_free(clbalance, "node1")
    assert clbalance("cancel", "--all").rc == 0
    eventually(lambda: not leases_held(lab.node("node1")))
    assert is_free(clbalance, "node1")


def test_a_node_that_dies_forgets_what_it_promised_though_the_files_stay(lab: Lab, clbalance: Command) -> None:
    node = lab.node("node1")
    with job(clbalance, "-w", "node1", "--exclusive"):
        node.kill()
    assert len(_files(node.folder.var)) == 1
    node.boot()
    assert is_free(clbalance, "node1")
    assert _files(node.folder.var) == []


def _files(var: Path) -> list[Path]:
    return list(var.glob("clbalance-*/lease-*"))
