"""Jobs that wait, and jobs that are started again: for a place, after others, elsewhere, as they were submitted."""

import json
import time

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended, nothing_left
from tests.cli.held_jobs import LATER, SOON, await_file, detached, held, job, let_go
from tests.cli.run.test_run_ends import await_output
from tests.waiting import SOON_S, eventually

FAILS_FIRST = 'echo "$CLBALANCE_NODE after $CLBALANCE_PREV_NODES" >> tried; exit $((9 - CLBALANCE_RESTART_COUNT))'


def tried(clbalance: Command) -> list[str]:
    return (clbalance.folder / "tried").read_text().splitlines()


def test_a_failed_job_is_tried_where_it_has_not_failed_yet(clbalance: Command) -> None:
    done = clbalance("run", "--retry", "2", "-w", "node[1-3]", "-c", FAILS_FIRST)
    assert done.rc == 7, "of the last attempt"
    nodes = [line.split()[0] for line in tried(clbalance)]
    assert sorted(nodes) == ["node1", "node2", "node3"]
    assert [line.split()[2:] for line in tried(clbalance)] == [[], [nodes[0]], [nodes[1]]]
    assert f"clbalance: waiting: attempt 2 after a failure on {nodes[0]}\n" in done.stderr
    assert "it failed there" in clbalance("explain").text


def test_where_nothing_else_fits_it_is_tried_there_again(clbalance: Command) -> None:
    assert clbalance("run", "-q", "--retry", "1", "-w", "node1", "-c", FAILS_FIRST).rc == 8
    assert tried(clbalance) == ["node1 after ", "node1 after node1"]


def test_a_job_asks_to_be_started_again_by_its_code(clbalance: Command) -> None:
    text = "echo x >> tried; [ $CLBALANCE_RESTART_COUNT = 2 ] || exit 85"
    assert clbalance("run", "--requeue-exit", "75,85", "-w", "node1", "-c", text).rc == 0
    assert tried(clbalance) == ["x"] * 3
    assert job(clbalance, "1")["attempt"] == 3


def test_codes_that_are_none_are_told(clbalance: Command) -> None:
    for code in ("0", "256", "x", "85,"):
        assert clbalance("run", "--requeue-exit", code, "-w", "node1", "--", "true").rc == 2


def test_a_job_whose_node_failed_ends_elsewhere(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").load(r1m=2.0)
    text = f"echo $CLBALANCE_NODE >> tried; [ $CLBALANCE_NODE = node2 ] && exit 6; {held()}"
    child = clbalance.start("run", "--requeue", "-w", "node[1-2]", "-c", text)
    await_file(clbalance.folder / "tried")
    lab.node("node1").kill()
    lab.node("node1").boot()
    assert ended(child) == 6
    assert tried(clbalance) == ["node1", "node2"]
    assert job(clbalance, "1")["attempt"] == 2


def test_without_requeue_a_failed_node_fails_the_job(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", f"echo x >> tried; {held('exit 5')}")
    lab.node("node1").kill()
    lab.node("node1").boot()
    found = job(clbalance, number)
    assert (found["state"], found["rc"], found["reason"]) == ("NODE_FAIL", 125, "the node was booted again")
    let_go(clbalance)
    assert clbalance("requeue", number).rc == 5
    assert tried(clbalance) == ["x", "x"]


def test_requeue_starts_a_failed_job_as_it_was_submitted_but_elsewhere(clbalance: Command) -> None:
    (clbalance.folder / "job.sh").write_text(FAILS_FIRST)
    assert clbalance("run", "-w", "node[1-2]", "--env", "A=b", "job.sh").rc == 9
    (clbalance.folder / "job.sh").write_text("echo changed >> tried")
    done = clbalance("requeue", "1")
    assert done.rc == 8
    assert {line.split()[0] for line in tried(clbalance)} == {"node1", "node2"}
    assert "attempt 2, on node" in done.stderr


def test_a_job_that_runs_is_not_requeued(clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    done = clbalance("requeue", number)
    assert (done.rc, done.stderr.splitlines()[0]) == (2, "clbalance: job 1 is RUNNING")
    let_go(clbalance)


def test_a_job_that_may_run_is_requeued_on_somebodys_word_only(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node[1-2]", "-c", f"echo $CLBALANCE_NODE >> tried; {held()}")
    first = await_file(clbalance.folder / "tried").strip()
    lab.node(first).hang()
    done = clbalance("requeue", number, *SOON)
    assert done.rc == 2
    assert f"may still run on {first}" in done.stderr
    assert "the job runs twice" in done.stderr
    done = clbalance("requeue", number, "--node-is-dead", "--detach", *LATER)
    assert done.rc == 0, done.stderr
    assert f"clbalance: warning: job 1 may run twice if {first} comes back\n" in done.stderr
    let_go(clbalance)
    assert clbalance("wait", number).rc == 0
    assert len(set(tried(clbalance))) == 2
    lab.node(first).thaw()


def test_the_copies_of_a_job_on_other_nodes_are_ended_before_it_starts_again(lab: Lab, clbalance: Command) -> None:
    for name in ("node3", "node4"):
        lab.node(name).load(r1m=9.0)
    text = f"echo $CLBALANCE_NODE >> tried; {held()}"
    # A copy fits beside none of its own.
    marked = ("--queue", "--requeue", "-w", "node[1-4]", "--pick", "2", "--exclusive")
    number = detached(clbalance, *marked, "-c", text)
    eventually(lambda: sorted(tried(clbalance)) == ["node1", "node2"])
    lab.node("node1").hang()
    done = clbalance("requeue", number, "--node-is-dead", "--detach", *LATER)
    assert (done.rc, f"job {number} waits: 1/4 nodes fit, 2 wanted: " in done.stderr) == (0, True)
    found = job(clbalance, number, *SOON)
    assert (found["state"], found["node_set"]) == ("PENDING", "")
    assert found["reason"].startswith("1/4 nodes fit, 2 wanted: ")
    lab.node("node3").load(r1m=0.0)
    done = clbalance("requeue", number, "--detach", *LATER)
    assert done.rc == 0, done.stderr
    assert sorted(tried(clbalance)[2:]) == ["node2", "node3"]
    let_go(clbalance)
    assert clbalance("wait", number, *LATER).rc == 0
    lab.node("node1").thaw()


def test_a_job_that_waits_for_a_place_starts_soon_after_another_has_ended(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        detached(clbalance, "-w", "node1", "--exclusive", "-c", held())
        waits = clbalance.start("run", "--queue-for", "1m", "-w", "node1", "-c", "echo ran; exit 4")
        eventually(lambda: "PENDING" in clbalance("jobs").text)
        eventually(lambda: job(clbalance, "2")["reason"] == "0/1 nodes fit: 1 allocated whole")
        assert "allocated whole: by " in clbalance("explain", "2").text
        let_go(clbalance)
        since = time.monotonic()
        assert await_output(waits) == b"ran\n"
        assert time.monotonic() - since < SOON_S
        assert ended(waits) == 4


def test_it_does_not_wait_for_longer_than_it_may(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    done = clbalance("run", "--queue-for", "0.7", "-w", "node1", "--", "true")
    assert done.rc == 125
    assert "0/1 nodes fit: 1 load above 1.00\n" in done.stderr
    assert job(clbalance, "1")["state"] == "CANCELLED"


def test_a_job_comes_after_others(clbalance: Command) -> None:
    for _ in range(2):
        detached(clbalance, "-w", "node1", "--name", "first", "-c", held("echo first >> tried"))
    waits = clbalance.start("run", "--after", "first,2", "-w", "node1", "-c", "echo second >> tried")
    eventually(lambda: "after job 1, 2" in clbalance("jobs").text)
    let_go(clbalance)
    assert ended(waits) == 0
    assert tried(clbalance) == ["first", "first", "second"]


def test_a_job_after_one_that_failed_is_not_started(clbalance: Command) -> None:
    clbalance("run", "-w", "node1", "--", "false")
    done = clbalance("run", "--after", "last", "-w", "node1", "--", "touch", "tried")
    assert (done.rc, done.stdout) == (125, b"")
    assert done.stderr.endswith("clbalance: job 2 is not started: after job 1, which is FAILED\n")
    found = job(clbalance, "2")
    assert (found["state"], found["reason"]) == ("CANCELLED", "after job 1, which is FAILED")
    assert not (clbalance.folder / "tried").exists()


def test_after_a_job_that_is_not_there_nothing_is_submitted(clbalance: Command) -> None:
    for detach in ((), ("--detach",)):
        done = clbalance("run", *detach, "--after", "9", "-w", "node1", "--", "true")
        assert (done.rc, done.text) == (2, "")
        assert done.stderr.startswith("clbalance: there is no job 9\nhint: ")
    assert json.loads(clbalance("jobs", "--ended", "--json").text)["jobs"] == []


def test_the_end_is_told_by_a_command_of_the_users(clbalance: Command) -> None:
    facts = 'echo "$CLBALANCE_JOB_ID $CLBALANCE_JOB_NAME $CLBALANCE_JOB_STATE $CLBALANCE_JOB_RC $CLBALANCE_NODELIST"'
    options = ("--name", "a b", "--notify", f"{facts} > told.new; mv told.new told", "-w", "node1", "-c", "exit 3")
    assert clbalance("run", *options).rc == 3
    message = clbalance.folder / "told"
    assert message.read_text() == "1 a b FAILED 3 node1\n"
    message.unlink()
    detached(clbalance, *options)
    assert await_file(message) == "2 a b FAILED 3 node1\n"
