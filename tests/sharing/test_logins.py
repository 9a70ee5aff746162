"""A job remembers who logs in for it: whoever looks after it later need not say so again."""

import json

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended
from tests.cli.held_jobs import detached, job
from tests.cli.migrations import move
from tests.waiting import eventually

pytestmark = pytest.mark.root

ALICE = ("-l", "alice", "--chdir", "/")
WHO = "id -un"
LONG = "id -un; exec sleep 600"


def test_a_job_of_another_login_is_looked_after_without_naming_it(shared_lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, *ALICE, "-w", "node1", "-c", LONG)
    eventually(lambda: clbalance("logs", number).text == "alice\n")
    assert job(clbalance, number, "--usage")["cpu_s"] is not None
    done = clbalance("cancel", number)
    assert (done.rc, done.stderr) == (0, f"clbalance: job {number}: CANCELLED\n")


def test_jobs_of_two_logins_are_seen_and_waited_for_in_one_call(shared_lab: Lab, clbalance: Command) -> None:
    text = "trap 'exit %d' USR1; echo up; while :; do sleep 0.1; done"
    hers = detached(clbalance, *ALICE, "-w", "node1", "-c", text % 3)
    his = detached(clbalance, "-l", "bob", "--chdir", "/", "-w", "node1", "-c", text % 0)
    mine = detached(clbalance, "-w", "node1", "-c", text % 0)
    found = json.loads(clbalance("jobs", "--json").text)["jobs"]
    assert [one["state"] for one in found if one["id"] is not None] == ["RUNNING"] * 3
    for number in (hers, his, mine):
        eventually(lambda one=number: clbalance("logs", one).text == "up\n")  # type: ignore[misc]  # of each turn its own
    waits = clbalance.start("wait", mine, hers, his)
    assert clbalance("cancel", hers, his, mine, "--signal", "USR1").rc == 0
    assert ended(waits) == 3
    assert [job(clbalance, number)["state"] for number in (hers, his, mine)] == ["FAILED", "COMPLETED", "COMPLETED"]


def test_a_login_that_is_typed_holds_for_that_call(shared_lab: Lab, clbalance: Command) -> None:
    """Bob finds nothing of hers on the node, and that is no word on how it stands."""
    number = detached(clbalance, *ALICE, "-w", "node1", "-c", LONG)
    assert clbalance("logs", number, "-l", "bob").text == ""
    assert job(clbalance, number, "-l", "bob")["state"] == "RUNNING"
    eventually(lambda: clbalance("logs", number).text == "alice\n")
    assert clbalance("cancel", number).rc == 0


def test_it_starts_again_as_it_was_submitted_and_as_nobody_else(shared_lab: Lab, clbalance: Command) -> None:
    assert clbalance("run", "-q", *ALICE, "-w", "node1", "-c", WHO).text == "alice\n"
    refused = clbalance("requeue", "1", "-l", "bob")
    assert (refused.rc, "the job logs in as alice, and cannot start again as bob" in refused.stderr) == (2, True)
    again = clbalance("requeue", "1")
    assert (again.rc, again.text) == (0, "alice\n")


def test_from_the_queue_it_is_started_by_its_own_login(shared_lab: Lab, clbalance: Command) -> None:
    full = detached(clbalance, "-w", "node1", "--exclusive", "-c", LONG)
    done = clbalance("run", "-q", "--detach", "--queue", *ALICE, "-w", "node1", "-c", WHO)
    number = done.text.strip()
    assert job(clbalance, number)["state"] == "PENDING"
    assert clbalance("cancel", full).rc == 0
    assert clbalance("rebalance", "-w", "node1", "--apply").rc == 0
    assert clbalance("wait", number).rc == 0
    assert clbalance("logs", number).text == "alice\n"


def test_who_moves_it_finds_it_by_its_own_login(shared_lab: Lab, clbalance: Command) -> None:
    text = "trap 'exit 85' USR1; id -un; while :; do sleep 0.1; done"
    number = detached(clbalance, *ALICE, "-w", "node[1-2]", "--checkpoint", "USR1:20s", "-c", text)
    eventually(lambda: clbalance("logs", number).text == "alice\n")
    src = job(clbalance, number)["node_set"]
    (dst,) = {"node1", "node2"} - {src}
    assert move(clbalance, f"{number}:{src}:{dst}") == [["Migrated", dst]]
    eventually(lambda: clbalance("logs", number).text == "alice\n")
    assert (job(clbalance, number)["attempt"], job(clbalance, number)["node_set"]) == (2, dst)
    assert clbalance("cancel", number).rc == 0


def test_the_login_of_the_settings_is_remembered_too(shared_lab: Lab, clbalance: Command) -> None:
    (clbalance.folder / "clbalance.toml").write_text('[ssh]\nuser = "alice"\n')
    number = detached(clbalance, "--chdir", "/", "-w", "node1", "-c", LONG)
    (clbalance.folder / "clbalance.toml").unlink()
    eventually(lambda: clbalance("logs", number).text == "alice\n")
    assert clbalance("cancel", number).rc == 0


def test_who_waits_for_a_job_of_another_login_hears_of_its_end(shared_lab: Lab, clbalance: Command) -> None:
    first = detached(clbalance, *ALICE, "-w", "node1", "-c", "sleep 1; exit 0")
    child = clbalance.start("run", "-q", "--after", first, "-w", "node1", "--", "true")
    assert ended(child) == 0
