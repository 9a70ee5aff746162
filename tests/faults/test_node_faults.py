"""Nodes that are booted, hang, lose their folder or a supervisor under a job: what is told of it is true, whoever asks."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import LabNode
from tests.cli.command import Command, ended, nothing_left
from tests.cli.run.test_run_ends import STUBBORN, await_output
from tests.node.nodes import locker_of
from tests.sharing.holding import leases_held
from tests.waiting import eventually

SOON = ("-t", "1s", "-u", "2s")
"""A node that is silent is given up after twice the two; one that is only slow answers in time."""
NOTICED_SOON = ("-o", "-oServerAliveInterval=1 -oServerAliveCountMax=1")
"""By ssh, that a node is silent."""


def started(clbalance: Command, *arguments: str, text: str) -> int:
    """The number of a detached job that runs."""
    done = clbalance("run", "-q", "--detach", *arguments, "-c", text)
    assert done.rc == 0, done
    return int(done.text)


def told(clbalance: Command, job: int, *arguments: str) -> tuple[str, str]:
    """A job's state and reason, asked for now."""
    (row,) = json.loads(clbalance("jobs", str(job), "--json", *arguments).stdout)["jobs"]
    return row["state"], row["reason"] or ""


def told_so_far(child: "subprocess.Popen[bytes]", wanted: bytes) -> None:
    """Wait until it has said that on stderr."""
    assert child.stderr is not None
    heard = b""
    while wanted not in heard:
        piece = os.read(child.stderr.fileno(), 4096)
        assert piece, heard
        heard += piece


def kill_supervisor(node: LabNode) -> None:
    """That of the only job there."""
    (lease,) = leases_held(node)
    os.kill(locker_of(lease), signal.SIGKILL)


# -- booted ----------------------------------------------------------------------------------------


def test_a_node_booted_under_a_detached_job_is_node_fail_for_whoever_asks(lab: Lab, clbalance: Command) -> None:
    job = started(clbalance, "-w", "node1", text="sleep 300")
    lab.node("node1").kill()
    lab.node("node1").boot()
    assert told(clbalance, job) == ("NODE_FAIL", "the node was booted again")
    assert clbalance("wait", str(job)).rc == 125


@pytest.mark.parametrize("how", ["followed", "detached"])
def test_with_requeue_a_job_whose_node_is_booted_ends_elsewhere_once(lab: Lab, clbalance: Command, how: str) -> None:
    diary = clbalance.folder / "diary"
    text = f"echo $CLBALANCE_NODE $CLBALANCE_RESTART_COUNT >>{diary}; test $CLBALANCE_RESTART_COUNT = 1 || sleep 300; exit 7"
    detach = ["--detach"] if how == "detached" else []
    child = clbalance.start("run", "-q", "--requeue", *detach, "-w", "node[1-2]", "-c", text)
    eventually(lambda: diary.exists() and diary.read_text())
    first = lab.node(diary.read_text().split()[0])
    first.kill()
    first.boot()
    code = ended(child)
    assert (clbalance("wait", "1").rc if detach else code) == 7
    other = {"node1": "node2", "node2": "node1"}[first.name]
    assert diary.read_text() == f"{first.name} 0\n{other} 1\n"
    assert told(clbalance, 1)[0] == "FAILED"


# -- hung ------------------------------------------------------------------------------------------


def test_a_hung_node_is_unknown_and_the_truth_is_told_once_it_thaws(lab: Lab, clbalance: Command) -> None:
    gate = clbalance.folder / "gate"
    job = started(clbalance, "-w", "node1", text=f"until [ -e {gate} ]; do sleep 0.1; done; exit 4")
    lab.node("node1").hang()
    for _ in range(2):
        state, reason = told(clbalance, job, *SOON)
        assert state == "RUNNING"
        assert reason.startswith("unknown: node1: ")
    assert clbalance("wait", str(job), *SOON).rc == 125
    lab.node("node1").thaw()
    assert told(clbalance, job) == ("RUNNING", "")
    gate.touch()
    assert clbalance("wait", str(job)).rc == 4
    assert told(clbalance, job) == ("FAILED", "")


def test_a_job_that_could_not_be_stopped_on_a_hung_node_is_known_again_once_it_thaws(
    lab: Lab, clbalance: Command
) -> None:
    child = clbalance.start("run", "-q", "-w", "node1", "-c", "echo up; sleep 300")
    await_output(child)
    lab.node("node1").hang()
    child.send_signal(signal.SIGINT)
    assert ended(child) == 130
    assert told(clbalance, 1, *SOON)[0] == "RUNNING"
    lab.node("node1").thaw()
    assert clbalance("cancel", "1").rc == 0
    assert told(clbalance, 1)[0] == "CANCELLED"


def test_a_run_whose_node_hangs_for_less_than_its_patience_goes_on_and_loses_nothing(
    lab: Lab, clbalance: Command
) -> None:
    text = "for n in 1 2 3 4 5 6 7 8 9; do echo $n; sleep 0.2; done; exit 5"
    child = clbalance.start("run", *NOTICED_SOON, "-w", "node1", "-c", text)
    first = await_output(child)
    lab.node("node1").hang()
    told_so_far(child, b"trying to reach it again")
    lab.node("node1").thaw()
    out, _ = child.communicate()
    assert child.returncode == 5
    assert (first + out).split() == [b"%d" % n for n in range(1, 10)]


# -- wiped -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["jobs", "wait", "cancel"])
def test_what_runs_in_a_wiped_node_folder_ends_as_soon_as_somebody_asks(
    lab: Lab, clbalance: Command, verb: str
) -> None:
    with nothing_left(lab):
        job = started(clbalance, "-w", "node1", text=STUBBORN)
        _wipe(lab.node("node1"))
        clbalance(verb, str(job))
    assert told(clbalance, job) == ("NODE_FAIL", "the node folder was wiped")


def test_a_run_whose_node_folder_is_wiped_tells_an_end_and_leaves_nothing(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node1", "-c", "echo up; sleep 0.5; exit 3")
        await_output(child)
        _wipe(lab.node("node1"))
        assert ended(child) in {3, 125}
        assert told(clbalance, 1)[0] in {"FAILED", "NODE_FAIL"}


def _wipe(node: LabNode) -> None:
    for folder in node.folder.var.glob("clbalance-*"):
        shutil.rmtree(folder)


# -- without a supervisor --------------------------------------------------------------------------


def test_nothing_of_a_job_survives_its_supervisor_and_its_run_says_why(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node1", "-c", STUBBORN)
        await_output(child)
        kill_supervisor(lab.node("node1"))
        _, err = child.communicate()
    assert child.returncode == 137
    assert b"the job's supervisor died" in err
    state, reason = told(clbalance, 1)
    assert state == "FAILED"
    assert "the job's supervisor died" in reason


@pytest.mark.parametrize("verb", ["jobs", "wait", "cancel", "attach"])
def test_nothing_of_a_detached_job_survives_its_supervisor_once_somebody_asks(
    lab: Lab, clbalance: Command, verb: str
) -> None:
    with nothing_left(lab):
        job = started(clbalance, "-w", "node1", text=STUBBORN)
        kill_supervisor(lab.node("node1"))
        clbalance(verb, str(job))
    state, reason = told(clbalance, job)
    assert state == "FAILED"
    assert "the job's supervisor died" in reason


@pytest.mark.root
@pytest.mark.parametrize("verb", ["jobs", "cancel"])
def test_a_stranger_with_the_pid_of_a_dead_supervisor_is_left_alone(lab: Lab, clbalance: Command, verb: str) -> None:
    node = lab.node("node1")
    pid_file = clbalance.folder / "pid"
    job = started(clbalance, "-w", "node1", text=f"echo $PPID >{pid_file}; sleep 300")
    eventually(lambda: pid_file.exists() and pid_file.read_text())
    with _with_pid(lab, node, int(pid_file.read_text())) as stranger:
        clbalance(verb, str(job))
        assert stranger.poll() is None
    assert told(clbalance, job)[0] == "FAILED"


@contextmanager
def _with_pid(lab: Lab, node: LabNode, pid: int) -> "Iterator[subprocess.Popen[bytes]]":
    """On that node kill whoever has that pid, and put a process in its place that knows nothing of jobs."""
    if os.getuid() != 0 or lab.record.isolation.value != "namespaces":
        pytest.skip("pids are only ours to give as root, in a namespace")
    kill_supervisor(node)
    again = f"""
        until [ "$got" = {pid} ]; do
            [ -z "$got" ] || kill $got
            echo {pid - 1} >/proc/sys/kernel/ns_last_pid
            sleep 300 & got=$!
        done
        echo has it; read line; kill $got
    """
    child = subprocess.Popen(
        ["ssh", "-F", str(lab.ssh_config), "--", node.name, again], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == b"has it\n"
    try:
        yield child
    finally:
        child.stdin.close()
        ended(child)
