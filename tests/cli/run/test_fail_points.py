"""Every window between two steps of a run (docs/design/jobs.md): whoever dies there, the job started at most once.

The node's own windows, one by one and without ssh, are in tests/node/job/test_agent_settle.py.
"""

import fcntl
import os
import re
import signal
import struct
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.balance import test_move_fail_points, test_queue
from tests.cli.command import Command, ended, local_ssh, nothing_left
from tests.cli.held_jobs import job
from tests.cli.migrations import no_lease
from tests.waiting import eventually

from . import test_tasks, test_travelling_files

TEXT = "echo $CLBALANCE_NODE >> diary; exit 3"
NOT_STARTED = "not started: "
SUPERVISOR_DIED = "killed by SIGKILL"

CLIENT = {
    "submitted": {(0, "CANCELLED", 125, "its controller died before it was started")},
    "reserved": {(0, "CANCELLED", 125, "its controller died before it was started")},
    "intended": {(0, "FAILED", 125, NOT_STARTED)},
    "ordered": {(0, "FAILED", 125, NOT_STARTED), (1, "FAILED", 3, None)},  # who is quicker: the start, or who settles
    "started": {(1, "FAILED", 3, None)},
    "ended": {(1, "FAILED", 3, None)},
    "recorded": {(1, "FAILED", 3, None)},
}
NODE = {
    "claimed": {(0, "CANCELLED", 125, "0/1 nodes fit: 1 refused by the node")},
    "admitted": {(0, "CANCELLED", 125, "0/1 nodes fit: 1 refused by the node")},
    "sealed": {(0, "FAILED", 137, SUPERVISOR_DIED)},
    "forked": {(0, "FAILED", 137, SUPERVISOR_DIED), (1, "FAILED", 137, SUPERVISOR_DIED)},
    "over": {(1, "FAILED", 137, SUPERVISOR_DIED)},
    "kept": {(1, "FAILED", 3, None)},
}


def diary(clbalance: Command) -> list[str]:
    path = clbalance.folder / "diary"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("point", [*CLIENT, *NODE])
def test_whoever_dies_the_job_has_started_at_most_once(lab: Lab, clbalance: Command, point: str) -> None:
    with nothing_left(lab):
        done = clbalance("run", "-w", "node1", "-c", TEXT, env={"CLBALANCE_FAIL_AT": point})
        if point in CLIENT:
            assert done.rc == -signal.SIGKILL
        code = clbalance("wait", "1").rc
        found = job(clbalance, "1")
        reason = None if found["reason"] is None else found["reason"][: len(NOT_STARTED)]
        allowed = {(*parsed[:3], parsed[3] and parsed[3][: len(NOT_STARTED)]) for parsed in {**CLIENT, **NODE}[point]}
        starts = len(diary(clbalance))
        assert (starts, found["state"], found["rc"], reason) in allowed
        assert code == found["rc"]
        no_lease(clbalance, "node1")
        assert clbalance("requeue", "1").rc == 3
        assert len(diary(clbalance)) == starts + 1


def told() -> set[str]:
    """The names in the table of docs/design/jobs.md."""
    text = (Path(__file__).parents[3] / "docs/design/jobs.md").read_text().partition("## Fail-points")[2]
    rows = [line.split("|") for line in text.partition("## Alternatives")[0].splitlines() if line.startswith("| ")]
    return {name for row in rows[1:] for cell in (row[1], row[4]) for name in re.findall(r"`([a-z-]+)`", cell)}


def died_at(test: Callable[..., None]) -> set[str]:
    """For what `point` a test is called."""
    cases = [mark.args[1] for mark in test.pytestmark if "point" in mark.args[0]]  # type: ignore[attr-defined]
    return {case if isinstance(case, str) else case[0] for case in cases[0]}


def test_every_window_that_is_told_is_one_where_somebody_dies() -> None:
    passed = died_at(test_whoever_dies_the_job_has_started_at_most_once)
    passed |= died_at(test_queue.test_whoever_dies_starting_it_the_job_runs_once_or_waits)
    passed |= died_at(test_tasks.test_whoever_dies_each_task_runs_once)
    passed |= died_at(test_move_fail_points.test_who_moves_a_job_of_nobodys_dies)
    passed |= died_at(test_travelling_files.test_whoever_dies_the_job_runs_once_with_all_files_and_all_results_come)
    assert passed == told()


def unread(pid: int) -> int:
    """How much of what was written to a process it has not read yet."""
    fd = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0])
    finally:
        os.close(fd)


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_start_that_comes_after_it_was_settled_starts_nothing(lab: Lab, clbalance: Command) -> None:
    slow = Command(
        env={**clbalance.env, "CLBALANCE_FAIL_AT": "intended:stop"}, folder=clbalance.folder, opened=clbalance.opened
    )
    with nothing_left(lab):
        client = slow.start("run", "-w", "node1", "-c", TEXT)
        eventually(lambda: stopped(client.pid))
        (ssh,) = local_ssh(lab)
        os.kill(ssh, signal.SIGSTOP)
        client.send_signal(signal.SIGCONT)
        eventually(lambda: unread(ssh))
        client.kill()
        ended(client)
        assert clbalance("wait", "1").rc == 125
        os.kill(ssh, signal.SIGCONT)  # only now does the start arrive
        eventually(lambda: not local_ssh(lab))
        found = job(clbalance, "1")
        assert (found["state"], found["reason"][: len(NOT_STARTED)]) == ("FAILED", NOT_STARTED)
    (folder,) = lab.node("node1").folder.var.glob("clbalance-*/jobs/*")
    assert os.readlink(folder / "fate").startswith("void ")
    assert diary(clbalance) == []
