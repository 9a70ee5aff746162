"""`drain` that waits: until nothing runs there any more, or what was told for the deadline; nobody else is touched."""

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended
from tests.cli.held_jobs import LATER, detached, held, job, let_go
from tests.waiting import eventually

WHY = ("--reason", "upgrade")


def audit(clbalance: Command) -> list[dict[str, object]]:
    """What was written down of deeds, without when and where from."""
    kept = ("what", "job", "src", "dst", "why", "result")
    files = Path(clbalance.env["CLBALANCE_STATE_DIR"]).rglob("audit.jsonl")
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert all(line["who"] and line["host"] and line["name"] and line["at"].endswith("+00:00") for line in lines)
    return [{name: line[name] for name in kept} for line in lines]


def state_of(clbalance: Command, node: str) -> str:
    (parsed,) = json.loads(clbalance("load", "-w", node, "--json").text)["nodes"]
    return str(parsed["state"])


def test_it_returns_when_the_last_job_has_gone(clbalance: Command) -> None:
    detached(clbalance, "-w", "node1", "-c", held())
    child = clbalance.start("drain", "node[1-2]", *WHY, "--monitor")
    assert child.stderr is not None
    assert [child.stderr.readline() for _ in range(2)] == [
        b"clbalance: drained node2\n",
        b"clbalance: draining node1\n",
    ]
    assert state_of(clbalance, "node1") == "draining"
    assert child.poll() is None
    let_go(clbalance)
    _, said = child.communicate()
    assert (child.returncode, said) == (0, b"clbalance: nothing runs any more on node[1-2]\n")


def test_jobs_that_are_marked_are_moved_and_the_others_waited_for(clbalance: Command) -> None:
    marked = detached(clbalance, "-w", "node[1-2]", "--requeue", "-c", held())
    eventually(lambda: job(clbalance, marked)["state"] == "RUNNING")
    here = job(clbalance, marked)["node_set"]
    other = detached(clbalance, "-w", here, "-c", held(gate="last"))
    child = clbalance.start("drain", here, *WHY, "--monitor")
    eventually(lambda: job(clbalance, marked)["attempt"] == 2)
    assert job(clbalance, marked)["node_set"] != here
    assert (child.poll(), job(clbalance, other)["node_set"]) == (None, here)
    let_go(clbalance, "last")
    _, said = child.communicate()
    elsewhere = job(clbalance, marked)["node_set"]
    assert child.returncode == 0
    assert f"clbalance: job {marked}: moved from {here} to {elsewhere}\n" in said.decode()
    parsed = {"what": "move", "job": int(marked), "src": here, "dst": elsewhere, "result": "moved"}
    assert audit(clbalance) == [parsed | {"why": f"drain {here}: upgrade"}]
    assert "rebalance_moves" not in clbalance("metrics", "-w", "node1").text
    let_go(clbalance)
    assert clbalance("wait", marked).rc == 0


def test_at_the_deadline_it_gives_up_and_what_runs_goes_on(clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    done = clbalance("drain", "node[1-2]", *WHY, "--deadline", "1s")
    assert done.rc == 4
    assert done.stderr.splitlines() == [
        "clbalance: drained node2",
        "clbalance: draining node1",
        "clbalance: nothing runs any more on node2",
        f"clbalance: warning: node1: not drained yet: job {number}",
    ]
    assert (job(clbalance, number)["state"], state_of(clbalance, "node1")) == ("RUNNING", "draining")


def test_with_force_our_own_jobs_are_cancelled_then(clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    elsewhere = detached(clbalance, "-w", "node2", "-c", held())
    done = clbalance("drain", "node1", *WHY, "--deadline", "1s", "--force")
    assert (done.rc, f"the deadline has passed: cancelling job {number}\n" in done.stderr) == (0, True), done.stderr
    ended_job = job(clbalance, number)
    assert (ended_job["state"], "drained by" in ended_job["reason"]) == ("CANCELLED", True)
    assert job(clbalance, elsewhere)["state"] == "RUNNING"
    parsed = {"what": "cancel", "job": int(number), "src": "node1", "dst": None, "result": "CANCELLED"}
    assert audit(clbalance) == [parsed | {"why": "drain node1: upgrade"}]


@contextmanager
def without_memory(clbalance: Command, how: str) -> Iterator[None]:
    """What this host remembers cannot be written, or not even be read."""
    (database,) = Path(clbalance.env["CLBALANCE_STATE_DIR"]).rglob("state.db")
    if how == "locked":
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    files = [path for path in (database, database.with_name("state.db-wal")) if path.exists()]
    whole = {path: path.read_bytes() for path in files}
    for path, content in whole.items():
        with path.open("r+b") as file:  # the file that is open, not another one of its name
            file.write(b"\xa5" * len(content))
    yield
    for path, content in whole.items():
        path.write_bytes(content)


@pytest.mark.parametrize("how", ["locked", "damaged"])
def test_where_memory_fails_at_the_deadline_that_is_told_and_so_is_what_still_runs(
    lab: Lab, clbalance: Command, how: str
) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    child = clbalance.start("drain", "node[1-2]", *WHY, "--deadline", "6s", "--force")
    eventually((lab.node("node1").folder.var / "clbalance-0" / "drain").exists)  # quicker seen than by a command
    with without_memory(clbalance, how):
        _, said = child.communicate()
    message = said.decode()
    assert (child.returncode, "Traceback" in message) == (4, False), message
    assert "clbalance: warning: your jobs there are not cancelled: " in message
    assert "clbalance: nothing runs any more on node2\n" in message
    assert "clbalance: warning: node1: not drained yet: " in message.splitlines()[-1]
    let_go(clbalance)
    assert clbalance("wait", number).rc == 0


@pytest.mark.skipif(os.getuid() != 0, reason="needs other users on the nodes")
def test_roots_force_ends_his_own_jobs_and_everybody_elses(lab: Lab, clbalance: Command) -> None:
    """That of others who are not root touches nobody else's: tests/sharing/test_administrator.py."""
    mine = detached(clbalance, "-w", "node1", "-c", held())
    hers = detached(clbalance, "-l", "alice", "-w", "node1", "-c", "exec sleep 600")
    done = clbalance("drain", "node1", *WHY, "--deadline", "1s", "--force")
    assert (done.rc, done.stderr.splitlines()[-1]) == (0, "clbalance: nothing runs any more on node1")
    assert [job(clbalance, number)["state"] for number in (mine, hers)] == ["CANCELLED"] * 2


def test_a_node_of_which_nothing_is_known_is_not_drained(lab: Lab, clbalance: Command) -> None:
    detached(clbalance, "-w", "node1", "-c", held())
    child = clbalance.start("drain", "node1", *WHY, "--deadline", "20s", *LATER)
    assert child.stderr is not None
    assert child.stderr.readline() == b"clbalance: draining node1\n"
    lab.node("node1").hang()
    _, said = child.communicate()
    assert (child.returncode, "node1: what runs there is unknown: " in said.decode()) == (4, True)


@pytest.mark.parametrize(
    ("lasting", "end"), [((), "`clbalance resume`"), (("--for", "1h"), "the marks end, or until `clbalance resume`")]
)
def test_who_is_told_to_stop_waiting_leaves_the_marks(clbalance: Command, lasting: tuple[str, ...], end: str) -> None:
    detached(clbalance, "-w", "node1", "-c", held())
    child = clbalance.start("drain", "node1", *WHY, *lasting, "--monitor")
    assert child.stderr is not None
    assert child.stderr.readline() == b"clbalance: draining node1\n"
    child.send_signal(signal.SIGINT)
    _, said = child.communicate()
    assert (child.returncode, f"the nodes stay drained until {end}\n" in said.decode()) == (130, True)
    assert state_of(clbalance, "node1") == "draining"


def test_a_node_that_is_resumed_meanwhile_is_waited_for_no_longer(clbalance: Command) -> None:
    detached(clbalance, "-w", "node1", "-c", held())
    child = clbalance.start("drain", "node1", *WHY, "--monitor")
    eventually(lambda: state_of(clbalance, "node1") == "draining")
    assert clbalance("resume", "node1").rc == 0
    _, said = child.communicate()
    assert (child.returncode, "in placement again: its drain mark has gone" in said.decode()) == (4, True)


def test_a_terminal_shows_what_is_waited_for(clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    terminal = clbalance.on_terminal("drain", "node1", *WHY, "--monitor", columns=120)
    terminal.read_until(f"0 of 1 nodes are drained; waiting for node1 (job {number})".encode())
    let_go(clbalance)
    assert terminal.end() == 0
    assert terminal.lines == ["clbalance: draining node1", "clbalance: nothing runs any more on node1"]


def test_with_a_floor_it_waits_as_well(clbalance: Command) -> None:
    child = clbalance.start("drain", "node1", *WHY, "--min-available", "7", "--monitor")
    assert ended(child) == 0
    assert state_of(clbalance, "node1") == "drained"
