"""Limits that root has set on a node: for whom they count, what is said, and that four clients never exceed one."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.faults.soak import trials

from .controller import insist
from .diary import begun, diary_in, diary_of, most_at_once
from .holding import job

pytestmark = pytest.mark.root


def set_limits(lab: Lab, text: str, *nodes: str) -> None:
    for node in lab.nodes:
        if node.name in nodes:
            node.folder.limits.write_text(text)


def test_a_limit_keeps_a_users_jobs_off_a_node_and_is_told_where_nodes_are_chosen(
    shared_lab: Lab, clbalance: Command
) -> None:
    set_limits(shared_lab, "# in the term\nUser=alice MaxCpus=2 MaxWall=1h\n", "node1")
    with job(clbalance, "-l", "alice", "-w", "node1", "--cpus", "2", "--time-limit", "1h", "--name", "train"):
        refused = clbalance("run", "-q", "-l", "alice", "-w", "node1", "--time-limit", "1h", "--", "true")
        assert (refused.rc, "0/1 nodes fit: 1 limit MaxCpus" in refused.stderr) == (125, True)
        rows = clbalance("pick", "-l", "alice", "-w", "node1", "--explain").stderr
        assert "MaxCpus=2 of user alice: 1 requested, 2 in use until these jobs end (line 2)" in " ".join(rows.split())
        assert clbalance("run", "-q", "-l", "bob", "-w", "node1", "--", "true").rc == 0
    refused = clbalance("run", "-q", "-l", "alice", "-w", "node1", "--", "true")
    assert (refused.rc, "MaxWall=1h of user alice" in refused.stderr) == (125, True)
    queued = clbalance("run", "-q", "-l", "alice", "-w", "node1", "--cpus", "3", "--queue", "--detach", "--", "true")
    assert queued.rc == 0
    (waiting,) = [one for one in json.loads(clbalance("jobs", "--json").stdout)["jobs"] if one["state"] == "PENDING"]
    assert "limit MaxCpus" in waiting["reason"]
    assert clbalance("cancel", str(waiting["id"])).rc == 0


@pytest.mark.soak
def test_four_clients_never_take_one_job_more_than_their_limit(lab: Lab, clbalance: Command) -> None:
    """Each job writes down its begin and its end while it holds its lease; the full measure is 1,000 jobs."""
    set_limits(lab, "Default MaxJobs=2\n", "node1")
    with ThreadPoolExecutor(4) as pool:
        names = [f"job{number}" for number in range(trials(6, 1000))]
        list(pool.map(lambda name: insist(clbalance, ("-w", "node1", "--cpus", "0.1"), name), names))
    (diary,) = [diary_of(node) for node in lab.nodes if node.name == "node1"]
    assert most_at_once(diary) <= 2
    assert len(begun(diary)) == len(names)


def test_a_limit_over_a_node_set_counts_the_jobs_on_all_of_it(lab: Lab, clbalance: Command) -> None:
    set_limits(lab, "Default Nodes=node[1-2] MaxCpus=3\n", "node1", "node2")
    with job(clbalance, "-w", "node1", "--cpus", "2", "--name", "train"):
        refused = clbalance("run", "-q", "-w", "node[1-2]", "--cpus", "2", "--", "true")
        assert refused.rc == 125
        explained = " ".join(clbalance("explain", "last").text.split())
        assert "MaxCpus=3 of each user over node[1-2]: 2 requested, 2 in use on node1 until these jobs end" in explained
        assert clbalance("run", "-q", "-w", "node2", "--cpus", "1", "--", "true").rc == 0
        assert clbalance("run", "-q", "-w", "node3", "--cpus", "2", "--", "true").rc == 0
    lab.nodes[1].hang()
    refused = clbalance("run", "-q", "-t", "2", "-u", "2", "-w", "node1", "--", "true")
    assert (refused.rc, "nodes fit" in refused.stderr) == (125, True)


@pytest.mark.soak
def test_four_clients_never_take_one_job_more_than_their_limit_over_a_node_set(
    lab: Lab, clbalance: Command, tmp_path: Path
) -> None:
    set_limits(lab, "Default Nodes=node[1-2] MaxJobs=2\n", "node1", "node2")
    where = ("-w", "node[1-2]", "--cpus", "0.1", "--env", f"TMPDIR={tmp_path}")
    with ThreadPoolExecutor(4) as pool:
        names = [f"job{number}" for number in range(trials(4, 1000))]
        list(pool.map(lambda name: insist(clbalance, where, name), names))
    diary = diary_in(tmp_path)
    assert most_at_once(diary) <= 2
    assert len(begun(diary)) == len(names)
