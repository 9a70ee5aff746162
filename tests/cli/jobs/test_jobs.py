"""`jobs`, `logs` and `explain`: how jobs stand, what they printed, why they went where they went."""

import fcntl
import json
import os

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.cli.held_jobs import SOON, detached, held, job, let_go
from tests.cli.run.test_run_ends import await_output
from tests.waiting import eventually


def test_jobs_shows_what_is_not_over_and_with_ended_also_what_is(lab: Lab, clbalance: Command) -> None:
    clbalance("run", "-w", "node1", "--name", "ends", "-c", "exit 3")
    detached(clbalance, "-w", "node[1-2]", "--pick", "2", "--name", "runs", "-c", held())
    lab.node("node3").load(r1m=9.0)
    detached(clbalance, "--queue-for", "1m", "-w", "node3", "--name", "waits", "--", "true")
    eventually(lambda: job(clbalance, "3")["reason"] == "0/1 nodes fit: 1 load above 1.00")
    assert [line.split()[1:3] for line in clbalance("jobs").lines[1:]] == [["runs", "RUNNING"], ["waits", "PENDING"]]
    found = json.loads(clbalance("jobs", "--ended", "--json").text)
    assert found["schema"] == 1
    parts = [(one["id"], one["state"], one["rc"], one["node_set"], one["attempt"]) for one in found["jobs"]]
    assert parts == [(1, "FAILED", 3, "node1", 1), (2, "RUNNING", None, "node[1-2]", 1), (3, "PENDING", None, "", 1)]
    assert [line.split("\t")[0] for line in clbalance("jobs", "--ended", "--format", "plain").lines] == ["1", "2", "3"]
    assert clbalance("cancel", "--all").rc == 0


def test_what_a_hung_node_runs_is_unknown_and_then_the_truth(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held("exit 4"))
    lab.node("node1").hang()
    for _ in range(2):
        done = clbalance("jobs", "--json", *SOON)
        (found,) = json.loads(done.text)["jobs"]
        assert (done.rc, found["state"], found["rc"]) == (4, "RUNNING", None)
        assert found["reason"].startswith("unknown: node1: hung: ")
    let_go(clbalance)
    lab.node("node1").thaw()
    assert clbalance("wait", number).rc == 4
    assert job(clbalance, number)["reason"] is None


def test_jobs_of_another_host_are_seen_on_the_nodes(clbalance: Command) -> None:
    detached(clbalance, "-w", "node1", "--name", "mine", "-c", held())
    elsewhere = {"CLBALANCE_STATE_DIR": str(clbalance.folder / "another-host")}
    assert json.loads(clbalance("jobs", "--json", env=elsewhere).text)["jobs"] == []
    for options in (("-w", "node[1-2]"), ("-a",), ("--all-users",)):
        (found,) = json.loads(clbalance("jobs", *options, "--json", env=elsewhere).text)["jobs"]
        parts = [found[key] for key in ("id", "name", "state", "reason", "node_set")]
        assert parts == [None, "mine", "RUNNING", "submitted elsewhere", "node1"]
    assert len(json.loads(clbalance("jobs", "-a", "--json").text)["jobs"]) == 1, "our own is not shown twice"
    let_go(clbalance)


def test_logs_shows_what_there_is_by_now(clbalance: Command) -> None:
    text = f"echo out $CLBALANCE_NODEID; echo err $CLBALANCE_NODEID >&2; touch said$CLBALANCE_NODEID; {held()}"
    number = detached(clbalance, "-w", "node[1-2]", "--pick", "2", "-c", text)
    eventually(lambda: all((clbalance.folder / f"said{rank}").exists() for rank in "01"))
    assert sorted(clbalance("logs").lines) == ["node1: out 0", "node2: out 1"]
    assert sorted(clbalance("logs", number, "--err").lines) == ["node1: err 0", "node2: err 1"]
    assert clbalance("logs", "--nodes", "node2").lines == ["node2: out 1"]
    done = clbalance("logs", "--nodes", "node[2-3]")
    assert (done.rc, done.stderr) == (2, "clbalance: job 1 is not on node3\nhint: it is on node[1-2]\n")
    follows = clbalance.start("logs", "-f")
    await_output(follows)
    let_go(clbalance)
    follows.communicate()
    assert follows.returncode == 0


def test_logs_are_there_when_the_job_is_over_byte_for_byte(clbalance: Command) -> None:
    detached(clbalance, "-w", "node1", "-c", r"printf 'a\000\377\r\n'; exit 3")
    assert clbalance("wait").rc == 3
    for _ in range(2):
        done = clbalance("logs")
        assert (done.rc, done.stdout) == (0, b"a\0\xff\r\n")


def test_logs_of_a_job_that_has_not_started_says_so(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    clbalance("run", "-w", "node1", "--", "true")
    for verb in ("logs", "attach"):
        done = clbalance(verb)
        assert done.rc == 2
        assert "has not been started" in done.stderr
        assert "0/1 nodes fit: 1 load above 1.00" in done.stderr


def test_explain_tells_the_terms_and_the_reasons_of_every_candidate(lab: Lab, clbalance: Command) -> None:
    lab.node("node3").load(r1m=9.0)
    clbalance("run", "-q", "-w", "node[1-3]", "-x", "node2", "--", "true")
    message = clbalance("explain").text
    assert [line.split()[:2] for line in message.splitlines()[1:4]] == [
        ["node1", "chosen"],
        ["node3", "unfit"],
        ["node2", "unfit"],
    ]
    (attempt,) = json.loads(clbalance("explain", "--json").text)["attempts"]
    assert (attempt["attempt"], attempt["node_set"]) == (1, "node1")
    assert {one["name"]: one["reason"] for one in attempt["unfit"]} == {
        "node2": "excluded",
        "node3": "load above 1.00",
    }


def test_explain_tells_who_refused_at_admission(lab: Lab, clbalance: Command) -> None:
    """Who holds a node's lock keeps it from admitting anything, and no probe shows that."""
    lab.node("node2").load(r1m=1.0)
    fd = os.open(lab.node("node1").folder.var, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert clbalance("run", "-q", "-w", "node[1-2]", "--", "true").rc == 0
    finally:
        os.close(fd)
    (attempt,) = json.loads(clbalance("explain", "--json").text)["attempts"]
    assert attempt["node_set"] == "node2"
    (refused,) = attempt["unfit"]
    assert (refused["name"], refused["filter"], refused["reason"]) == ("node1", "admission", "refused by the node")
    assert refused["detail"].startswith("lock held by ")
