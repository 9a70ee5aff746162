"""`run`, `jobs` and `wait` tell the same of tasks, and whose output is whose."""

import json

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, ended
from tests.cli.held_jobs import detached, held, let_go
from tests.waiting import eventually

ODD_FAIL = "[ $((CLBALANCE_TASK_ID % 2)) = 0 ]"


def test_run_jobs_wait_and_attach_tell_the_same_counts(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node[1-2]", "--array", "0-7", "-c", ODD_FAIL)
    counts = "4 of 8 tasks completed, 4 failed"
    assert done.stderr.endswith(f"clbalance: {counts}\n")
    (job,) = json.loads(clbalance("jobs", "1", "--json").text)["jobs"]
    assert (job["reason"], job["rc"]) == (counts, 1)
    assert {name: count for name, count in job["tasks"].items() if count} == {"total": 8, "completed": 4, "failed": 4}
    for verb in ("wait", "attach"):
        done = clbalance(verb, "1")
        assert done.rc == 1
        assert done.stderr.endswith(f"clbalance: job 1: FAILED: {counts}\n")
        assert "COMPLETED 0" not in " ".join(done.stderr.split()), "slots are no tasks"
    assert clbalance("wait", "-q", "1").stderr.endswith(f"clbalance: job 1: FAILED: {counts}\n")


def test_cancelled_failed_and_not_started_are_apart(lab: Lab, clbalance: Command) -> None:
    text = f"[ $CLBALANCE_TASK_ID = 0 ] && exit 3; touch two; {held()}"
    child = clbalance.start("run", "-w", "node1", "--array", "0-5%1", "-c", text)
    eventually((clbalance.folder / "two").exists)
    assert clbalance("cancel", "1").rc == 0
    ended(child)
    counts = "0 of 6 tasks completed, 4 not started, 1 failed, 1 cancelled: cancelled by"
    assert clbalance("wait", "1").stderr.splitlines()[-1].startswith(f"clbalance: job 1: CANCELLED: {counts} ")
    (job,) = json.loads(clbalance("jobs", "1", "--json").text)["jobs"]
    assert job["reason"].startswith("cancelled by ")
    assert counts in clbalance("jobs", "1").text
    assert [job["tasks"][key] for key in ("failed", "cancelled", "not_started")] == [1, 1, 4]


def test_a_job_of_tasks_that_runs_shows_how_far_it_is(clbalance: Command) -> None:
    text = f"[ $CLBALANCE_TASK_ID = 0 ] || {{ {held()} }}"
    detached(clbalance, "-w", "node1", "--array", "0-2%1", "-c", text)
    counts = "1 of 3 tasks completed, 1 not started, 1 running"
    eventually(lambda: counts in clbalance("jobs").text)
    let_go(clbalance)
    assert clbalance("wait").stderr == "clbalance: job 1: COMPLETED: 3 of 3 tasks completed\n"
    assert "3 of 3 tasks completed" in clbalance("jobs", "1").text


def test_each_of_several_jobs_is_named_with_its_end(clbalance: Command) -> None:
    clbalance("run", "-q", "-w", "node1", "--name", "good", "--", "true")
    clbalance("run", "-q", "-w", "node[1-2]", "--pick", "2", "--name", "bad", "-c", "exit 5")
    clbalance("run", "-q", "-w", "node1", "--name", "many", "--array", "0-3", "-c", ODD_FAIL)
    done = clbalance("wait", "1-3")
    assert done.rc == 5
    header, *lines = done.stderr.splitlines()
    assert header.split() == ["JOB", "NAME", "STATE", "CODE", "TIME", "NODES", "REASON"]
    assert [line.split()[:4] for line in lines] == [
        ["1", "good", "COMPLETED", "0"],
        ["2", "bad", "FAILED", "5"],
        ["3", "many", "FAILED", "1"],
    ]
    assert lines[2].endswith("  2 of 4 tasks completed, 2 failed")
    assert clbalance("wait", "-q", "1-3").stderr.splitlines() == [
        "clbalance: job 2: FAILED with exit code 5",
        "clbalance: job 3: FAILED: 2 of 4 tasks completed, 2 failed",
    ]


def test_output_of_tasks_is_labelled_by_task_wherever_it_is_shown(clbalance: Command) -> None:
    text = "echo out $CLBALANCE_TASK_ID; echo err $CLBALANCE_TASK_ID >&2"
    wanted = [f"{number}: out {number}" for number in range(4)]
    assert sorted(clbalance("run", "-q", "-w", "node[1-2]", "--array", "0-3", "-c", text).lines) == wanted
    assert sorted(clbalance("logs").lines) == wanted
    number = detached(clbalance, "-w", "node1", "--array", "0-3", "-c", text)
    assert clbalance("wait", number).rc == 0
    assert sorted(clbalance("logs", number).lines) == wanted
    assert sorted(clbalance("logs", number, "--err").lines) == [line.replace("out", "err") for line in wanted]
    assert sorted(clbalance("attach", "-q", number).lines) == wanted
