"""`--force`: a node that was named takes a job all the same; what that sets aside is said, and logged."""

import json
from pathlib import Path
from typing import Any

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault
from tests.cli.command import Command
from tests.cli.held_jobs import detached, held, let_go
from tests.cli.run.test_run_ends import PYTHONS
from tests.waiting import eventually

ECHO = ("-c", "echo $CLBALANCE_NODE")


def audit(clbalance: Command) -> list[dict[str, Any]]:
    files = Path(clbalance.env["CLBALANCE_STATE_DIR"]).rglob("audit.jsonl")
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_past_a_threshold_it_runs_and_says_so(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    refused = clbalance("run", "-w", "node1", *ECHO)
    assert refused.rc == 125
    assert "hint: `-w node1 --force` ignores that (load above 1.00)" in refused.stderr
    done = clbalance("run", "-w", "node1", "--force", *ECHO)
    assert (done.rc, done.text) == (0, "node1\n")
    aside = "load above 1.00: load is 2.25 per cpu"
    assert f"clbalance: warning: node1: ignored because of `--force`: {aside}" in done.stderr
    (line,) = audit(clbalance)
    assert (line["what"], line["job"], line["dst"], line["why"]) == ("force", 2, "node1", aside)
    assert f"ignored because of --force on node1: {aside}" in clbalance("explain", "2").text


def test_where_there_is_nothing_to_set_aside_it_changes_nothing(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--force", *ECHO)
    assert (done.rc, done.text) == (0, "node1\n")
    assert "set aside" not in done.stderr
    assert audit(clbalance) == []


@pytest.mark.parametrize("verb", ["run", "pick"])
@pytest.mark.parametrize("nodes", [(), ("-g", "cpu"), ("-a",), ("-w", "node1", "-g", "cpu"), ("-w", "node1", "-a")])
def test_it_is_for_nodes_that_are_named(clbalance: Command, verb: str, nodes: tuple[str, ...]) -> None:
    done = clbalance(verb, *nodes, "--force", *(ECHO if verb == "run" else ()))
    assert (done.rc, done.stdout) == (2, b"")
    assert "`--force` is for nodes that are named by `-w`, without `-g` or `-a`" in done.stderr


def test_ones_own_drain_is_set_aside_and_stays(clbalance: Command) -> None:
    assert clbalance("drain", "node1", "--reason", "disk").rc == 0
    refused = clbalance("run", "-w", "node1", *ECHO)
    assert (refused.rc, "--force` ignores that (drained)" in refused.stderr) == (125, True)
    done = clbalance("run", "-w", "node1", "--force", *ECHO)
    assert (done.rc, done.text) == (0, "node1\n")
    assert "node1: ignored because of `--force`: drained: disk (by " in done.stderr
    assert clbalance("pick", "-w", "node1").rc == 3


def test_leases_are_never_set_aside(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    job = detached(clbalance, "-w", "node1", "--force", "--cpus", "4", "-c", held())
    for verb, rc in (("run", 125), ("pick", 3)):
        done = clbalance(verb, "-w", "node1", "--force", *(ECHO if verb == "run" else ()))
        assert (done.rc, done.stdout) == (rc, b"")
        assert "0/1 nodes fit: 1 too few cpus free" in done.stderr
    assert "--force" not in clbalance("run", "-w", "node1", *ECHO).stderr
    let_go(clbalance)
    assert clbalance("wait", job).rc == 0


def test_what_makes_a_node_unfit_is_never_set_aside(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").boot(Fault(without=PYTHONS))
    assert clbalance("run", "-w", "node1", "--force", *ECHO).rc == 3
    assert clbalance("pick", "-w", "node1", "--force").rc == 3


def test_pick_prints_what_run_would_take(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    refused = clbalance("pick", "-w", "node1")
    assert (refused.rc, "`-w node1 --force` ignores that" in refused.stderr) == (3, True)
    done = clbalance("pick", "-w", "node1", "--force")
    assert (done.rc, done.text) == (0, "node1\n")
    assert "node1: ignored because of `--force`: load above 1.00: load is 2.25 per cpu" in done.stderr
    (aside,) = json.loads(clbalance("pick", "-w", "node1", "--force", "--json").stdout)["set_aside"]
    assert (aside["name"], aside["filter"]) == ("node1", "thresholds")


@pytest.mark.parametrize("more", [(), ("--retry", "1")], ids=["agent alone", "with a controller"])
def test_a_detached_job_is_forced_as_well_and_its_log_says_so(
    lab: Lab, clbalance: Command, more: tuple[str, ...]
) -> None:
    lab.node("node1").load(r1m=9.0)
    done = clbalance("run", "--detach", "-w", "node1", "--force", *more, *ECHO)
    assert done.rc == 0
    assert clbalance("wait", done.text.strip()).rc == 0
    eventually(lambda: [one["what"] for one in audit(clbalance)] == ["force"])


def test_a_forced_job_that_fails_is_forced_again_by_its_retry(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    done = clbalance("run", "-w", "node1", "--force", "--retry", "1", "-c", "exit 3")
    assert done.rc == 3
    assert [one["what"] for one in audit(clbalance)] == ["force", "force"]


def test_tasks_run_on_a_node_by_force_too(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    done = clbalance("run", "-w", "node1", "--force", "--array", "1-3", "-c", "echo $CLBALANCE_TASK_ID")
    assert done.rc == 0
    assert "node1: ignored because of `--force`: load above 1.00" in done.stderr
    assert [one["dst"] for one in audit(clbalance)] == ["node1"]


# Nodes that `--pick all` leaves out.


def test_pick_all_says_whom_it_leaves_out_and_why(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").load(r1m=9.0)
    words = "clbalance: 1 of 3 nodes left out: node2 (load above 1.00: load is 2.25 per cpu)"
    done = clbalance("pick", "-w", "node[1-4]", "-x", "node4", "--pick", "all")
    assert (done.rc, done.text) == (0, "node[1,3]\n")
    assert words in done.stderr
    strict = clbalance("pick", "-S", "-w", "node[1-3]", "--pick", "all")
    assert (strict.rc, strict.text) == (4, "node[1,3]\n")
    assert f"{words}; with -S, that is exit code 4" in strict.stderr
    assert clbalance("pick", "-S", "-w", "node[1,3]", "--pick", "all").rc == 0


def test_run_on_all_says_whom_it_leaves_out_and_strictly_fails_in_the_end(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").load(r1m=9.0)
    done = clbalance("run", "-w", "node[1-3]", "--pick", "all", "--no-label", *ECHO)
    assert (done.rc, sorted(done.lines)) == (0, ["node1", "node3"])
    assert "1 of 3 nodes left out: node2 (load above 1.00: load is 2.25 per cpu)" in done.stderr
    strict = clbalance("run", "-S", "-w", "node[1-3]", "--pick", "all", "--no-label", *ECHO)
    assert (strict.rc, sorted(strict.lines)) == (125, ["node1", "node3"])
    assert clbalance("run", "-q", "-S", "-w", "node[1,3]", "--pick", "all", "-c", "exit 3").rc == 3


def test_who_waits_for_no_end_gets_no_exit_code(clbalance: Command) -> None:
    done = clbalance("run", "-S", "--detach", "-w", "node1", "--pick", "all", *ECHO)
    assert (done.rc, "`-S` and `--detach` exclude each other" in done.stderr) == (2, True)
