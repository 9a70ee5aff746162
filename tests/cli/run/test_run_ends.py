"""How `clbalance run` ends: with the job's own code, or with one that says why there is none."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault
from tests.cli.command import Command, ended, local_ssh, nothing_left
from tests.cli.held_jobs import LATER
from tests.waiting import SOON_S

PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(6, 20)))
NOTICED_SOON = (*LATER, "-o", "-oServerAliveInterval=1 -oServerAliveCountMax=2")
"""That a node hangs is noticed by ssh's own keepalives, of 3 x 5 s unless told otherwise."""
STUBBORN = "trap '' TERM; (setsid sleep 301 &) ; sleep 302 & echo up; while :; do sleep 303; done"


def await_output(child: "subprocess.Popen[bytes]", lines: int = 0) -> bytes:
    """The first bytes that the job prints; at least so many lines, such as one of each copy."""
    assert child.stdout is not None
    printed = piece = os.read(child.stdout.fileno(), 4096)
    while piece and printed.count(b"\n") < lines:
        piece = os.read(child.stdout.fileno(), 4096)
        printed += piece
    return printed


@pytest.mark.parametrize("rc", [0, 3, 124, 125, 255])
def test_it_ends_with_the_jobs_own_code(clbalance: Command, rc: int) -> None:
    done = clbalance("run", "-w", "node1", "-c", f"exit {rc}")
    assert done.rc == rc
    summary = done.stderr.splitlines()[-1].split()
    assert summary[:3] == ["node1", "FAILED" if rc else "COMPLETED", str(rc)]


@pytest.mark.parametrize(("name", "rc"), [("KILL", 137), ("SEGV", 139)])
def test_a_job_killed_by_a_signal_ends_as_in_a_shell(clbalance: Command, name: str, rc: int) -> None:
    done = clbalance("run", "-w", "node1", "-c", f"kill -{name} $$")
    assert done.rc == rc
    assert f"killed by SIG{name}" in done.stderr


def test_the_highest_code_of_several_copies_counts(clbalance: Command) -> None:
    assert clbalance("run", "-q", "-w", "node[1-3]", "--pick", "3", "-c", "exit $((CLBALANCE_NODEID * 3))").rc == 6


def test_a_time_limit_ends_the_whole_tree_with_124(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        done = clbalance("run", "-w", "node1", "--time-limit", "2", "-c", STUBBORN)
        assert (done.rc, done.text) == (124, "up\n")
    assert "TIMEOUT" in done.stderr
    assert "time limit of" in done.stderr


def test_when_nothing_fits_it_is_125_and_the_reasons(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    lab.node("node2").kill()
    done = clbalance("run", "-w", "node[1-2]", "--", "true")
    assert (done.rc, done.stdout) == (125, b"")
    assert done.stderr.startswith("clbalance: 0/2 nodes fit: 1 connection refused, 1 load above 1.00\n")


def test_a_job_of_more_copies_than_nodes_runs_nowhere(lab: Lab, clbalance: Command) -> None:
    done = clbalance("run", "-w", "node[1-2]", "--pick", "3", "-c", "touch $TMPDIR/ran")
    assert done.rc == 125
    assert "2/2 nodes fit, 3 wanted" in done.stderr
    assert not any((lab.node(name).folder.tmp / "ran").exists() for name in ("node1", "node2"))


def test_a_copy_that_cannot_start_lets_none_start(lab: Lab, clbalance: Command) -> None:
    tool = lab.node("node1").folder.bin / "only-here"
    tool.write_text("#!/bin/sh\nsleep 600\n")
    tool.chmod(0o755)
    with nothing_left(lab):
        done = clbalance("run", "-w", "node[1-2]", "--pick", "2", "--", "only-here")
    assert done.rc == 127
    assert "node1  CANCELLED" in done.stderr
    assert "it could not start on node2" in done.stderr


def test_without_python_on_any_node_it_is_3_and_clear_words(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").boot(Fault(without=PYTHONS))
    done = clbalance("run", "-w", "node1", "--", "true")
    assert (done.rc, done.stdout) == (3, b"")
    assert done.stderr.startswith("clbalance: 0/1 nodes fit: 1 no python3\nhint: a job needs python3 (3.6 or newer)")


def test_a_node_without_python_is_passed_over(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").boot(Fault(without=PYTHONS))
    lab.node("node2").load(r1m=2.0)
    assert clbalance("run", "-q", "-w", "node[1-2]", "-c", "echo $CLBALANCE_NODE").text == "node2\n"
    assert clbalance("pick", "-w", "node[1-2]").text == "node2\n"
    picked = clbalance("pick", "-w", "node1")
    assert (picked.rc, picked.stderr.splitlines()[0]) == (3, "clbalance: 0/1 nodes fit: 1 no python3")
    (node,) = json.loads(clbalance("load", "-w", "node1", "--json").stdout)["nodes"]
    assert (node["state"], node["reason"]) == ("unfit", "no python3 on PATH")


def forgotten(clbalance: Command) -> None:
    """As on a host that has not asked the nodes yet."""
    for file in Path(clbalance.env["CLBALANCE_STATE_DIR"]).rglob("state.db*"):
        file.unlink()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo 'no encodings' >&2; exit 1", "no encodings"),
        ("exit 1", "it ended with 1 without a message"),
        ("kill -SEGV $$", "it was ended by a signal"),
    ],
)
def test_a_python_that_fails_is_told_in_its_words(lab: Lab, clbalance: Command, text: str, words: str) -> None:
    broken = lab.node("node1").folder.bin / "python3"
    broken.write_text(f"#!/bin/sh\n{text}\n")
    broken.chmod(0o755)
    try:
        first = clbalance("pick", "-w", "node1")
        assert clbalance("doctor", "-w", "node1").rc == 4
        forgotten(clbalance)
        done = clbalance("run", "-w", "node1", "--", "true")
        seen = json.loads(clbalance("load", "-w", "node1", "--json").stdout)["nodes"][0]
        picked, again = clbalance("pick", "-w", "node1"), clbalance("run", "-w", "node1", "--", "true")
        assert clbalance("doctor", "-w", "node1").rc == 4
        assert clbalance("pick", "-w", "node1").rc == 3
    finally:
        broken.unlink()
    assert seen["state"] == "unfit"
    assert seen["reason"].startswith(f"refused every job: python3 failed: {words}")
    for refused, rc in ((first, 3), (picked, 3), (again, 125)):
        assert (refused.rc, "0/1 nodes fit: 1 refused every job" in refused.stderr) == (rc, True)
        assert "hint: `clbalance doctor -w node1` says what is wrong there" in refused.stderr
    assert clbalance("doctor", "-w", "node1").rc == 0, "it looks again, and forgets"
    assert clbalance("pick", "-w", "node1").text == "node1\n"
    assert done.rc == 125
    assert f"python3 failed: {words}" in done.stderr
    assert "no shell" not in done.stderr


def test_a_node_lost_while_the_job_runs_is_125_and_said(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start("run", *LATER, "-w", "node1", "-c", "echo up; sleep 300")
    await_output(child)
    lab.node("node1").kill()
    _, err = child.communicate()
    assert child.returncode == 125
    assert b"UNKNOWN" in err
    assert b"trying to reach it again for 24 s" in err


def test_a_node_that_was_booted_while_the_job_ran_has_failed(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start("run", "-w", "node1", "-c", "echo up; sleep 300")
    await_output(child)
    lab.node("node1").kill()
    lab.node("node1").boot()
    _, err = child.communicate()
    assert child.returncode == 125
    assert b"NODE_FAIL" in err
    assert b"the node was booted again" in err


def test_a_connection_that_is_lost_is_made_again_and_no_output_is_lost_or_doubled(lab: Lab, clbalance: Command) -> None:
    text = "for n in 1 2 3 4 5 6 7 8 9; do echo $n; sleep 0.3; done; exit 5"
    child = clbalance.start("run", "-q", "-w", "node1", "-c", text)
    first = await_output(child)
    for client in local_ssh(lab):
        os.kill(client, signal.SIGKILL)
    out, _ = child.communicate()
    assert child.returncode == 5
    assert (first + out).split() == [b"%d" % n for n in range(1, 10)]


def test_a_node_that_hangs_while_the_job_runs_is_noticed(lab: Lab, clbalance: Command) -> None:
    child = clbalance.start("run", *NOTICED_SOON, "-w", "node1", "-c", "echo up; sleep 300")
    await_output(child)
    lab.node("node1").hang()
    _, err = child.communicate()
    assert child.returncode == 125
    assert b"UNKNOWN" in err
    assert b"not responding" in err


def test_a_node_lost_does_not_take_the_other_copies_output(lab: Lab, clbalance: Command) -> None:
    text = "echo up; test $CLBALANCE_NODEID = 0 && sleep 300; sleep 1; echo done"
    child = clbalance.start("run", *LATER, "-w", "node[1-2]", "--pick", "2", "-c", text)
    await_output(child, lines=2)  # a copy that has not started would end the other
    lab.node("node1").kill()
    out, _ = child.communicate()
    assert child.returncode == 125
    assert b"node2: done\n" in out


def test_what_outlives_the_first_process_is_ended_with_it(lab: Lab, clbalance: Command) -> None:
    began = time.monotonic()
    with nothing_left(lab):
        assert clbalance("run", "-q", "-w", "node1", "-c", "setsid sleep 300 & echo gone").text == "gone\n"
    assert time.monotonic() - began < SOON_S


def test_two_runs_at_once_do_not_disturb_each_other(clbalance: Command) -> None:
    texts = [f"sleep 0.3; echo {number}; exit {number}" for number in (3, 4)]
    children = [clbalance.start("run", "-q", "-w", "node1", "-c", text) for text in texts]
    assert [child.communicate()[0] for child in children] == [b"3\n", b"4\n"]
    assert [ended(child) for child in children] == [3, 4]


def test_loaded_nodes_are_avoided_and_the_choice_is_told(lab: Lab, clbalance: Command) -> None:
    for number in (1, 2, 4):
        lab.node(f"node{number}").load(r1m=2.0)
    done = clbalance("run", "-g", "rack1", "--explain", "-c", "echo $CLBALANCE_NODE")
    assert done.text == "node3\n"
    assert "job 1 on node3, the least loaded of 4 that fit (4 asked)" in done.stderr
    assert "node3  chosen" in done.stderr


@pytest.mark.parametrize(
    ("typed", "rc", "message"),
    [
        (("-c", "exit 3"), 3, "node1: FAILED with exit code 3"),
        (("--", "nosuchcmd"), 127, "node1: FAILED: not started: "),
        (("--time-limit", "0.5", "--", "sleep", "300"), 124, "node1: TIMEOUT: time limit of 0.5 s reached"),
        (("-c", "kill -9 $$"), 137, "node1: FAILED: killed by SIGKILL"),
        (("--", "true"), 0, ""),
    ],
)
def test_quiet_tells_what_failed_and_nothing_else(
    clbalance: Command, typed: tuple[str, ...], rc: int, message: str
) -> None:
    done = clbalance("run", "-q", "-w", "node1", *typed)
    assert (done.rc, done.stdout) == (rc, b"")
    assert [line.startswith(f"clbalance: {message}") for line in done.stderr.splitlines()] == [True] * bool(message), (
        done
    )


def test_quiet_folds_nodes_where_the_same_went_wrong(clbalance: Command) -> None:
    done = clbalance("run", "-q", "-w", "node[1-3]", "--pick", "3", "-c", "exit $((CLBALANCE_NODEID ? 4 : 0))")
    (line,) = done.stderr.splitlines()
    assert line in {f"clbalance: node[{two}]: FAILED with exit code 4" for two in ("1-2", "2-3", "1,3")}


def test_quiet_tells_that_tasks_have_failed(clbalance: Command) -> None:
    done = clbalance("run", "-q", "-w", "node1", "--array", "1-3", "-c", "exit $((CLBALANCE_TASK_ID == 2))")
    assert (done.rc, done.stderr) == (1, "clbalance: 2 of 3 tasks completed, 1 failed\n")
    assert clbalance("run", "-q", "-w", "node1", "--array", "1-3", "-c", "true").stderr == ""


@pytest.mark.parametrize("work", [("--", "true"), ("--array", "1-2", "-c", "true")], ids=["job", "tasks"])
def test_explain_says_why_not_where_nothing_fits(lab: Lab, clbalance: Command, work: tuple[str, ...]) -> None:
    lab.node("node1").load(r1m=9.0)
    done = clbalance("run", "-w", "node1", "--explain", *work)
    assert done.rc == 125
    table, message = done.stderr.split("clbalance: 0/1 nodes fit")
    assert [line.split()[:2] for line in table.splitlines()[-2:]] == [["NODE", "VERDICT"], ["node1", "unfit"]]
    assert "--explain" not in message, "it has just been said"
