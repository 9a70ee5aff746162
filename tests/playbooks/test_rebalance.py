"""`rebalance`, as cron runs it: queued jobs are started and told of, and where there is nothing to do nothing is said."""

import json
from pathlib import Path

from clbalance.lab.cluster import Lab
from clbalance.store.single_flight import single_flight
from tests.cli.command import Command, Done
from tests.cli.conftest import clbalance, folder  # noqa: F401 - fixtures
from tests.cli.held_jobs import detached, held, job, let_go
from tests.playbooks.support import states_of

NODES = ("-w", "node[1-2]")
TELL = ("-e", "tell=cat >>$HOME/told")


def rebalance(clbalance: Command, *words: str) -> Done:  # noqa: F811
    return clbalance("play", "rebalance", *NODES, *words)


def told(clbalance: Command) -> str:  # noqa: F811
    path = Path(clbalance.env["HOME"]) / "told"
    return path.read_text() if path.exists() else ""


def state_folder(clbalance: Command) -> Path:  # noqa: F811
    (database,) = Path(clbalance.env["CLBALANCE_STATE_DIR"]).rglob("state.db")
    return database.parent


def reasons(clbalance: Command) -> set[str]:  # noqa: F811
    """What the steps of the last run have said."""
    return {line.strip() for line in clbalance("play", "--show", "last", "-v").lines}


def queued(clbalance: Command) -> str:  # noqa: F811
    """The number of a job that waits, and for which there is room now."""
    first = detached(clbalance, *NODES, "--pick", "2", "--exclusive", "-c", held())
    waiting = detached(clbalance, *NODES, "--queue", "-c", "true")
    let_go(clbalance)
    clbalance("wait", first)
    return waiting


def test_a_queued_job_is_started_and_told_of_once(clbalance: Command) -> None:  # noqa: F811
    waiting = queued(clbalance)
    done = rebalance(clbalance, *TELL)
    assert (done.rc, done.stdout, done.stderr) == (0, b"", ""), "cron sends no mail"
    assert clbalance("wait", "-q", waiting).rc == 0
    assert told(clbalance).startswith(f"job {waiting}")
    assert told(clbalance).count("\n") == 1
    before = told(clbalance)
    assert rebalance(clbalance, *TELL).rc == 0
    assert told(clbalance) == before, "there was nothing left to do"


def test_where_no_node_has_room_nothing_is_done(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    waiting = queued(clbalance)
    for node in lab.nodes[:2]:
        node.load(r1m=9.0)
    done = rebalance(clbalance, "--json")
    assert (done.rc, states_of(done)) == (0, {"node1": "ok", "node2": "ok"})
    assert job(clbalance, waiting)["state"] == "PENDING"


def test_a_node_that_is_down_does_not_hold_up_the_others(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    waiting = queued(clbalance)
    lab.nodes[0].kill()
    assert rebalance(clbalance).rc == 0
    assert clbalance("wait", "-q", waiting).rc == 0


def test_a_run_that_meets_another_rebalance_leaves_the_work_to_that_one(clbalance: Command) -> None:  # noqa: F811
    clbalance("jobs")
    with single_flight(state_folder(clbalance), "rebalance"):
        done = rebalance(clbalance, *TELL)
    assert (done.rc, done.stderr, told(clbalance)) == (0, "", "")
    assert any("another `rebalance` is at work" in one for one in reasons(clbalance))


def test_a_rebalance_that_fails_says_so(clbalance: Command) -> None:  # noqa: F811
    clbalance("jobs")
    (state_folder(clbalance) / "rebalance.lock").mkdir()
    done = rebalance(clbalance, "--json")
    assert done.rc == 4
    assert "rebalance.lock" in done.stderr
    assert set(states_of(done).values()) <= {"failed", "notstarted"}
    assert json.loads(done.stdout)["nodes"][0]["state"] == "failed"
