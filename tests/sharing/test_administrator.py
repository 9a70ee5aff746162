"""Root on the nodes ends, reads and signals other people's jobs, and gives itself away to none of them."""

import json
import os
import re
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended
from tests.cli.held_jobs import detached
from tests.waiting import eventually

from .holding import leases_held

pytestmark = pytest.mark.root

ALICE = ("-l", "alice", "--chdir", "/")
LONG = "echo up; echo down >&2; exec sleep 600"


@pytest.fixture
def owner(clbalance: Command, tmp_path: Path) -> Command:
    """Alice's `clbalance`, on another submit host."""
    return Command(env={**clbalance.env, "CLBALANCE_STATE_DIR": str(tmp_path / "hers")}, folder=clbalance.folder)


def shown(clbalance: Command, *arguments: str) -> list[str]:
    """What `jobs` says to type for the jobs of others."""
    rows = json.loads(clbalance("jobs", "-w", "node[1-2]", "--all-users", "--json", *arguments).stdout)["jobs"]
    return [row["job"] for row in rows if row["id"] is None]


def audit(clbalance: Command) -> list[dict[str, object]]:
    lines = (Path(clbalance.env["CLBALANCE_STATE_DIR"]) / "audit.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_root_cancels_what_jobs_shows_and_the_owner_is_told(
    shared_lab: Lab, clbalance: Command, owner: Command
) -> None:
    number = detached(owner, *ALICE, "-w", "node1", "-c", LONG)
    (name,) = shown(clbalance)
    assert re.fullmatch(r"2001/[0-9a-f]{12}", name)
    done = clbalance("cancel", name, "-w", "node[1-2]")
    assert (done.rc, done.stderr) == (0, f"clbalance: job {name}: CANCELLED\n")
    (row,) = json.loads(owner("jobs", number, "--json").stdout)["jobs"]
    assert (row["state"], row["reason"].partition("@")[0]) == ("CANCELLED", "cancelled by root (root")
    (line,) = audit(clbalance)
    assert [line[key] for key in ("what", "job", "src", "result")] == ["cancel", name, "node1", "CANCELLED"]


def test_root_reads_and_signals_what_others_run(shared_lab: Lab, clbalance: Command, owner: Command) -> None:
    text = "echo up; echo err >&2; trap 'echo got it' USR1; while :; do sleep 0.1; done"
    number = detached(owner, *ALICE, "-w", "node1", "-c", text)
    (name,) = shown(clbalance)
    eventually(lambda: clbalance("logs", name, "--node", "node1").text == "up\n")
    assert clbalance("logs", name, "--node", "node1", "--err").text == "err\n"
    done = clbalance("cancel", name, "-w", "node1", "--signal", "USR1")
    assert (done.rc, done.stderr) == (0, f"clbalance: job {name}: sent SIGUSR1\n")
    follows = clbalance.start("logs", "-f", name, "--node", "node1")
    eventually(lambda: "got it" in owner("logs", number).text)
    done = clbalance("cancel", name, "-w", "node1", "--json")
    (result,) = json.loads(done.text)["jobs"]
    assert (done.rc, result["id"], result["job"], result["result"]) == (0, None, name, "CANCELLED")
    assert follows.stdout is not None
    assert follows.stdout.read() == b"up\ngot it\n"
    assert ended(follows) == 0
    assert {line["what"] for line in audit(clbalance)} == {"logs", "signal", "cancel"}


def test_a_job_is_found_by_its_key_and_by_its_number_and_host(
    shared_lab: Lab, clbalance: Command, owner: Command
) -> None:
    number = detached(owner, *ALICE, "-w", "node1", "-c", LONG)
    detached(owner, *ALICE, "-w", "node1", "-c", LONG)
    keys = [path.name[len("lease-") :].partition(".")[0] for path in leases_held(shared_lab.node("node1"))]
    host = os.uname().nodename
    assert clbalance("cancel", f"2001/{number}@{host}x", "-w", "node1").rc == 2
    assert clbalance("cancel", f"2002/{number}@{host}", "-w", "node1").rc == 2
    done = clbalance("cancel", f"2001/{number}@{host}", "-w", "node1")
    assert (done.rc, "CANCELLED" in done.stderr) == (0, True), done.stderr
    assert [row["state"] for row in json.loads(owner("jobs", "--ended", "--json").stdout)["jobs"]].count("RUNNING") == 1
    done = clbalance("cancel", *keys, "-w", "node1")
    assert (done.rc, "no running job" in done.stderr) == (2, True)
    (name,) = shown(clbalance)
    (key,) = [key for key in keys if key.startswith(name.partition("/")[2])]
    assert clbalance("cancel", key, "-w", "node1").rc == 0
    eventually(lambda: not leases_held(shared_lab.node("node1")))


def test_a_bare_number_is_ones_own(shared_lab: Lab, clbalance: Command, owner: Command) -> None:
    number = detached(owner, *ALICE, "-w", "node1", "-c", LONG)
    assert (clbalance("cancel", number).rc, clbalance("logs", number).rc) == (2, 2)
    assert owner("cancel", number).rc == 0


def test_who_is_not_root_is_refused_and_told_what_to_do(shared_lab: Lab, clbalance: Command, owner: Command) -> None:
    detached(owner, *ALICE, "-w", "node1", "-c", LONG)
    (name,) = shown(clbalance)
    for verb in (("cancel", "-w"), ("cancel", "--signal", "KILL", "-w"), ("logs", "--node")):
        refused = clbalance(verb[0], name, *verb[1:], "node1", "-l", "bob")
        assert (refused.rc, refused.text) == (1, "")
        assert "belongs to uid 2001, and you are uid 2002 there: only root there may do that" in refused.stderr
        assert "`-l root` logs in as root" in refused.stderr
    assert len(leases_held(shared_lab.node("node1"))) == 1
    assert clbalance("cancel", name, "-w", "node1", "-l", "alice").rc == 0  # her own, from another host


def test_root_drains_what_others_run_at_the_deadline(shared_lab: Lab, clbalance: Command, owner: Command) -> None:
    hers = detached(owner, *ALICE, "-w", "node1", "-c", LONG)
    his = detached(owner, "-l", "bob", "--chdir", "/", "-w", "node2", "-c", LONG)
    else_where = detached(owner, *ALICE, "-w", "node3", "-c", LONG)
    done = clbalance("drain", "node[1-2]", "--reason", "disk", "--deadline", "1s", "--force")
    assert (done.rc, "nothing runs any more on node[1-2]" in done.stderr) == (0, True), done.stderr
    rows = {str(row["id"]): row for row in json.loads(owner("jobs", "--ended", "--json").stdout)["jobs"]}
    assert [rows[number]["state"] for number in (hers, his, else_where)] == ["CANCELLED", "CANCELLED", "RUNNING"]
    assert {rows[number]["reason"] for number in (hers, his)} == {"cancelled by root: disk (drain of node[1-2])"}
    assert sorted((str(line["src"]), line["result"]) for line in audit(clbalance)) == [
        ("node1", "CANCELLED"),
        ("node2", "CANCELLED"),
    ]
    assert owner("cancel", else_where).rc == 0
    assert clbalance("resume", "node[1-2]").rc == 0


def test_who_is_not_root_drains_his_own_and_nobody_elses(shared_lab: Lab, clbalance: Command, owner: Command) -> None:
    detached(owner, *ALICE, "-w", "node1", "-c", LONG)
    detached(clbalance, "-l", "bob", "--chdir", "/", "-w", "node1", "-c", LONG)
    done = clbalance("drain", "-l", "bob", "node1", "--reason", "disk", "--deadline", "1s", "--force")
    assert (done.rc, "node1: not drained yet: 1 of uid 2001" in done.stderr) == (4, True), done.stderr
    (lease,) = leases_held(shared_lab.node("node1"))
    assert lease.parent.name == "clbalance-2001"


def test_a_job_of_tasks_ends_as_a_whole_and_starts_no_further_slot(
    shared_lab: Lab, clbalance: Command, owner: Command
) -> None:
    (owner.folder / "tasks").write_text("sleep 600\n" * 40)
    number = detached(owner, *ALICE, "-w", "node[1-2]", "--tasks", "tasks")
    eventually(lambda: len(shown(clbalance)) == 1)
    (name,) = shown(clbalance)
    done = clbalance("cancel", name, "-w", "node[1-2]")
    assert (done.rc, "CANCELLED" in done.stderr) == (0, True), done.stderr
    owner("wait", number)
    (row,) = json.loads(owner("jobs", number, "--json").stdout)["jobs"]
    assert (row["state"], "cancelled by root (" in row["reason"]) == ("CANCELLED", True)
    eventually(lambda: not any(leases_held(shared_lab.node(node)) for node in ("node1", "node2")))


def test_a_job_whose_owner_has_stopped_its_supervisor_is_ended(
    shared_lab: Lab, clbalance: Command, owner: Command
) -> None:
    detached(owner, *ALICE, "-w", "node1", "-c", "kill -STOP $PPID; echo stopped; exec sleep 600")
    (name,) = shown(clbalance)
    eventually(lambda: clbalance("logs", name, "--node", "node1").text == "stopped\n")
    done = clbalance("cancel", name, "-w", "node1")
    assert (done.rc, done.stderr) == (0, f"clbalance: job {name}: CANCELLED\n")


def test_the_owners_retry_does_not_start_it_again(shared_lab: Lab, clbalance: Command, owner: Command) -> None:
    number = detached(owner, *ALICE, "-w", "node[1-2]", "--retry", "3", "--requeue", "-c", LONG)
    eventually(lambda: len(shown(clbalance)) == 1)
    (name,) = shown(clbalance)
    assert clbalance("cancel", name, "-w", "node[1-2]").rc == 0
    owner("wait", number)
    (row,) = json.loads(owner("jobs", number, "--json").stdout)["jobs"]
    assert (row["state"], row["attempt"]) == ("CANCELLED", 1)


def test_root_sees_what_another_users_job_is_and_takes(shared_lab: Lab, clbalance: Command, owner: Command) -> None:
    number = detached(owner, *ALICE, "-w", "node1", "--name", "hers", "--", "sh", "-c", "sleep 600 & sleep 600")
    (name,) = shown(clbalance)
    seen = clbalance("show", name, "-w", "node[1-2]", "--json")
    assert seen.rc == 0, seen.stderr
    (found,) = json.loads(seen.text)["jobs"]
    assert [found[key] for key in ("job", "user", "name", "chdir")] == [name, "2001", "hers", "/"]
    assert (found["command"], found["number"]) == ("sh -c 'sleep 600 & sleep 600'", int(number))
    (copy,) = found["copies"]
    assert (copy["node"], copy["state"], copy["processes"]) == ("node1", "running", 3)
    assert [line["what"] for line in audit(clbalance)] == ["show"]
