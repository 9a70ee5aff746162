"""`show`: everything that is known of a job, while it waits, runs, and is over."""

import json
import sys
from typing import Any

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.cli.held_jobs import SOON, detached, held, job, let_go
from tests.waiting import eventually

MIB = 1 << 20


def shown(clbalance: Command, *words: str) -> dict[str, Any]:
    (found,) = json.loads(clbalance("show", *words, "--json").text)["jobs"]
    assert isinstance(found, dict)
    return found


def test_what_a_job_used_is_held_against_what_it_asked_for(clbalance: Command) -> None:
    program = "x = bytearray(b'x') * (80 << 20); sum(range(10**6))"
    clbalance("run", "-q", "-w", "node[1-2]", "--mem", "200M", "--env", "K=secret", "--", sys.executable, "-c", program)
    found = shown(clbalance)
    assert found["usage"]["max_rss_bytes"] == found["max_rss_bytes"] >= 80 * MIB
    assert found["usage"]["mem_share"] == found["max_rss_bytes"] / (200 * MIB)
    assert found["usage"]["cpu_s"] > 0
    assert 0 < found["usage"]["cpu_share"] <= 2.0
    (copy,) = found["copies"]
    assert (copy["state"], copy["rc"], copy["node"]) == ("COMPLETED", 0, found["node_set"])
    assert copy["user_s"] + copy["system_s"] == found["cpu_s"]
    assert (found["environment"], found["candidates"], found["policy"]) == (["K"], "node[1-2]", None)
    text = clbalance("show").text
    assert "% of 200M)" in text
    assert "secret" not in text


def test_a_job_of_this_host_is_found_by_its_owner_and_key_wherever_a_job_is_named(clbalance: Command) -> None:
    clbalance("run", "-q", "-w", "node1", "--", "true")
    key = shown(clbalance, "1")["key"]
    for name in (key, f"root/{key}", f"root/{key[:12]}", f"0/{key[:12]}"):
        assert shown(clbalance, name)["id"] == 1
        assert clbalance("wait", "-q", name).rc == 0
    done = clbalance("wait", f"nobody/{key[:12]}")
    assert done.rc == 2
    assert done.stderr.startswith(f"clbalance: `nobody/{key[:12]}` names a job by its owner\n")


def test_every_attempt_is_told_with_its_end(clbalance: Command) -> None:
    clbalance("run", "-q", "--retry", "1", "-w", "node[1-2]", "--time-limit", "1h", "-c", "exit 3")
    found = shown(clbalance, "1")
    assert [(one["attempt"], one["state"], one["rc"]) for one in found["copies"]] == [
        (1, "FAILED", 3),
        (2, "FAILED", 3),
    ]
    assert [one["attempt"] for one in found["placed"]] == [1, 2]
    assert (found["time_limit_s"], found["restart"]["retry"]) == (3600.0, 1)
    text = clbalance("show", "1").text
    assert "--retry 1" in text
    assert "1 h of run time" in text or "60 min of run time" in text
    assert "`clbalance explain 1` says why" in text


def test_what_waits_says_for_what(lab: Lab, clbalance: Command) -> None:
    before = detached(clbalance, "-w", "node1", "-c", held())
    detached(clbalance, "--queue", "--after", before, "-w", "node1", "--priority", "2", "--", "true")
    found = shown(clbalance, "2")
    assert found["after"] == [{"id": 1, "state": "RUNNING"}]
    assert (found["state"], found["queued"], found["has_controller"], found["copies"]) == ("PENDING", True, False, [])
    text = clbalance("show", "2").text
    assert "  job 1 (RUNNING)\n" in text
    assert "`clbalance rebalance --apply` starts it" in text
    let_go(clbalance)


def test_what_runs_says_what_it_uses_now_and_a_silent_node_is_told(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    eventually(lambda: job(clbalance, number)["state"] == "RUNNING")
    found = shown(clbalance, number)
    assert found["usage"]["mem_bytes"] > 0
    assert found["usage"]["max_rss_bytes"] is None
    lab.node("node1").hang()
    done = clbalance("show", number, *SOON)
    assert done.rc == 4
    assert "RUNNING: unknown: node1: hung" in done.text
    assert "usage" not in done.text
    lab.node("node1").thaw()
    let_go(clbalance)


def test_output_files_are_named_in_full(clbalance: Command) -> None:
    clbalance("run", "-q", "-w", "node[1-2]", "--pick", "2", "--output", "out-%j-%n", "-c", "echo x")
    found = shown(clbalance)
    assert found["files"] == [f"{clbalance.folder}/out-1-node{at}" for at in (1, 2)]
    assert found["output"]["complete"] is True
    assert f"{clbalance.folder}/out-1-node1, {clbalance.folder}/out-1-node2 (complete)" in clbalance("show").text


def test_jobs_are_named_as_everywhere_and_facts_are_lines_for_loops(clbalance: Command) -> None:
    for name in ("a", "b"):
        clbalance("run", "-q", "-w", "node1", "--name", name, "--", "true")
    assert [line for line in clbalance("show", "1-2").lines if not line.startswith(" ")][::3] == [
        "job 1: a",
        "job 2: b",
    ]
    assert shown(clbalance, "b")["id"] == shown(clbalance, "last")["id"] == shown(clbalance)["id"] == 2
    lines = [line.split("\t") for line in clbalance("show", "a", "--format", "plain").lines]
    assert ["1", "request.cpus", "1"] in lines
    assert ["1", "copies.0.node", "node1"] in lines
    done = clbalance("show", "9")
    assert (done.rc, done.stderr.splitlines()[0]) == (2, "clbalance: there is no job 9")


def test_it_has_all_that_jobs_has(clbalance: Command) -> None:
    clbalance("run", "-q", "-w", "node1", "--array", "0-2", "-c", "[ $CLBALANCE_TASK_ID = 1 ]")
    (listed,) = json.loads(clbalance("jobs", "1", "--json").text)["jobs"]
    found = shown(clbalance, "1")
    assert listed.keys() <= found.keys()
    assert found["tasks"] == listed["tasks"]
    assert (found["tasks"]["total"], found["tasks"]["completed"], found["tasks"]["failed"]) == (3, 1, 2)
    text = clbalance("show", "1").text
    assert "exit code 1: 1 of 3 tasks completed, 2 failed" in text
    assert "COMPLETED" not in text, "slots are no tasks"


def test_what_slots_use_adds_up(clbalance: Command) -> None:
    detached(clbalance, "-w", "node[1-2]", "--array", "0-3", "-c", held())
    eventually(lambda: job(clbalance, "1")["tasks"]["running"] == 4)
    (listed,) = json.loads(clbalance("jobs", "--usage", "--json").text)["jobs"]
    assert listed["mem_bytes"] > 0
    assert shown(clbalance)["usage"]["mem_bytes"] > 0
    let_go(clbalance)
