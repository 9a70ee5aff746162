"""Jobs that wait in the queue: accepted when nothing fits, started when there is room, wherever a starter may die."""

import signal
import subprocess
import sys

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Done, ended, nothing_left
from tests.cli.held_jobs import await_file, detached, held, job, let_go
from tests.cli.migrations import no_lease
from tests.waiting import eventually

WAITING = "0/1 nodes fit: 1 allocated whole"
TEXT = "echo $CLBALANCE_NODE >> diary; exit 3"


def start_queued(clbalance: Command, *, fail_at: str = "") -> Done:
    """As `rebalance` will, once."""
    env = {**clbalance.env, **({"CLBALANCE_FAIL_AT": fail_at} if fail_at else {})}
    argv = [sys.executable, "-m", "tests.cli.start_queued"]
    done = subprocess.run(argv, capture_output=True, env=env, cwd=clbalance.folder, check=False)
    message = Done(rc=done.returncode, stdout=done.stdout, stderr=done.stderr.decode())
    assert "Traceback" not in message.stderr, message.stderr
    return message


def diary(clbalance: Command) -> list[str]:
    path = clbalance.folder / "diary"
    return path.read_text().splitlines() if path.exists() else []


def full(clbalance: Command, *nodes: str) -> None:
    """Nobody else finds room there, until the gate is opened."""
    for node in nodes:
        detached(clbalance, "-w", node, "--exclusive", "-c", held())


def queue(clbalance: Command, *arguments: str) -> str:
    done = clbalance("run", "--detach", "--queue", *arguments)
    assert done.rc == 0, done.stderr
    return done.text.strip()


def test_a_job_is_accepted_when_nothing_fits_and_starts_when_room_comes(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        full(clbalance, "node1")
        done = clbalance("run", "--detach", "--queue", "--priority", "2.5", "-w", "node1", "-c", TEXT)
        assert (done.rc, done.text) == (0, "2\n")
        assert f"job 2 waits: {WAITING}; `clbalance rebalance --apply` starts it" in done.stderr
        found = job(clbalance, "2")
        assert (found["state"], found["reason"], found["priority"]) == ("PENDING", WAITING, 2.5)
        assert (found["node_set"], found["seconds"]) == ("", None)
        assert start_queued(clbalance).text == ""
        assert job(clbalance, "2")["reason"] == WAITING
        explained = clbalance("explain", "2")
        assert f"job 2 waits: {WAITING}" in explained.stderr
        assert "points: 2.5 priority, " in explained.stderr
        assert "allocated whole: by " in explained.text
        attached = clbalance("attach", "2")
        assert (attached.rc, attached.stderr.splitlines()[0]) == (2, f"clbalance: job 2 waits: {WAITING}")
        let_go(clbalance)
        clbalance("wait", "1")
        assert start_queued(clbalance).text == "2 JobStarted node1\n"
        assert clbalance("wait", "-q", "2").rc == 3
        found = job(clbalance, "2")
        assert (found["state"], found["rc"], found["attempt"], diary(clbalance)) == ("FAILED", 3, 1, ["node1"])


def test_who_waits_for_a_queued_job_starts_it_when_room_comes(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        full(clbalance, "node1")
        number = queue(clbalance, "-q", "-w", "node1", "-c", TEXT)
        waits = clbalance.start("wait", "-q", number)
        let_go(clbalance)
        assert ended(waits) == 3
        assert diary(clbalance) == ["node1"]


def test_a_job_that_no_node_could_ever_hold_is_accepted_with_a_warning(clbalance: Command) -> None:
    large = clbalance("run", "--detach", "--queue", "-w", "node[1-2]", "--cpus", "99", "--", "true")
    assert (large.rc, large.text) == (0, "1\n")
    assert "warning: job 1 may never start: 0/2 nodes are large enough: 2 too few cpus\n" in large.stderr
    full(clbalance, "node1")
    waits = clbalance("run", "--detach", "--queue", "-w", "node1", "--", "true")
    assert (waits.rc, "may never start" in waits.stderr) == (0, False)
    nowhere = clbalance("run", "--detach", "--queue", "-w", "nosuch.invalid", "--", "true")
    assert (nowhere.rc, nowhere.text) == (0, "4\n")
    assert "may never start: 0/1 nodes are large enough: 1 name not resolved\n" in nowhere.stderr
    let_go(clbalance)


def test_what_fits_at_once_is_started_at_once(clbalance: Command) -> None:
    number = queue(clbalance, "-q", "-w", "node1", "--retry", "1", "-c", "touch told; exit 0")
    assert clbalance("wait", number).rc == 0
    assert (clbalance.folder / "told").exists()


def test_a_queued_job_is_cancelled_at_once_or_started_at_once(clbalance: Command) -> None:
    full(clbalance, "node1")
    first, second = (queue(clbalance, "-q", "-w", "node1", "-c", TEXT) for _ in range(2))
    done = clbalance("cancel", first)
    assert (done.rc, done.stderr) == (0, f"clbalance: job {first}: CANCELLED\n")
    found = job(clbalance, first)
    assert (found["state"], found["reason"][:13]) == ("CANCELLED", "cancelled by ")
    done = clbalance("requeue", second)
    assert (done.rc, job(clbalance, second)["state"]) == (125, "PENDING")
    assert f"job {second} waits: {WAITING}" in done.stderr
    let_go(clbalance)
    clbalance("wait", "1")
    assert clbalance("requeue", second).rc == 3
    assert (job(clbalance, second)["attempt"], diary(clbalance)) == (1, ["node1"])
    assert start_queued(clbalance).text == ""


def test_the_more_urgent_one_is_started_first(clbalance: Command) -> None:
    full(clbalance, "node1")
    numbers = [
        queue(clbalance, "-q", "-w", "node1", "--exclusive", "--priority", text, "-c", held("", "done"))
        for text in ("1", "5", "3")
    ]
    let_go(clbalance)
    clbalance("wait", "1")
    assert start_queued(clbalance).text == f"{numbers[1]} JobStarted node1\n"
    assert [job(clbalance, number)["state"] for number in numbers] == ["PENDING", "RUNNING", "PENDING"]
    let_go(clbalance, "done")


def test_a_job_comes_after_others_in_the_queue_too(clbalance: Command) -> None:
    first = detached(clbalance, "-w", "node1", "-c", held("exit 0"))
    bad = detached(clbalance, "-w", "node1", "-c", held("exit 1"))
    after = queue(clbalance, "-q", "--after", first, "-w", "node1", "-c", TEXT)
    never = queue(clbalance, "-q", "--after", bad, "-w", "node1", "-c", TEXT)
    assert job(clbalance, after)["reason"] == f"after job {first}"
    assert start_queued(clbalance).text == ""
    let_go(clbalance)
    clbalance("wait", first, bad)
    assert start_queued(clbalance).text == f"{after} JobStarted node1\n"
    assert clbalance("wait", after).rc == 3
    found = job(clbalance, never)
    assert (found["state"], found["reason"]) == ("CANCELLED", f"after job {bad}, which is FAILED")
    done = clbalance("run", "--detach", "--queue", "--after", bad, "-w", "node1", "-c", TEXT)
    assert (done.rc, done.text) == (125, "")


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (("--queue",), "`--detach`"),
        (("--queue", "--detach", "--queue-for", "1m"), "one of them"),
        (("--queue", "--detach", "--notify", "true"), "`clbalance wait JOB"),
        (("--priority", "nan"), "from -"),
    ],
)
def test_what_cannot_be_meant_is_told(clbalance: Command, options: tuple[str, ...], hint: str) -> None:
    done = clbalance("run", *options, "-w", "node1", "--", "true")
    assert (done.rc, done.text) == (2, "")
    assert hint in done.stderr


def test_no_terminal_and_no_tasks_are_queued(clbalance: Command) -> None:
    assert clbalance("run", "--queue", "--detach", "--array", "0-3", "-w", "node1", "--", "true").rc == 2
    assert clbalance("run", "--queue", "--detach", "--pty", "-w", "node1", "--", "true").rc == 2


def test_a_script_says_that_it_may_be_queued(clbalance: Command) -> None:
    full(clbalance, "node1")
    (clbalance.folder / "job.sh").write_text("#!/bin/sh\n#CLB --queue --priority 7\ntrue\n")
    done = clbalance("run", "--detach", "-q", "-w", "node1", "job.sh")
    assert (done.rc, job(clbalance, done.text.strip())["priority"]) == (0, 7.0)
    let_go(clbalance)


@pytest.mark.parametrize("point", ["submitted", "taken", "reserved", "intended", "ordered", "started"])
def test_whoever_dies_starting_it_the_job_runs_once_or_waits(lab: Lab, clbalance: Command, point: str) -> None:
    """`submitted`: before its number was told; it was not accepted then."""
    with nothing_left(lab):
        if point == "submitted":
            options = ("--queue", "--detach", "-w", "node1", "-c", TEXT)
            assert clbalance("run", *options, env={"CLBALANCE_FAIL_AT": point}).rc == -signal.SIGKILL
            assert job(clbalance, "1")["state"] == "CANCELLED"
            return
        full(clbalance, "node1")
        number = queue(clbalance, "-q", "-w", "node1", "-c", TEXT)
        let_go(clbalance)
        clbalance("wait", "1")
        assert start_queued(clbalance, fail_at=point).rc == -signal.SIGKILL
        if point in {"taken", "reserved"}:
            assert (job(clbalance, number)["state"], diary(clbalance)) == ("PENDING", [])
        start_queued(clbalance)
        assert clbalance("wait", number).rc == 3
        assert start_queued(clbalance).text == ""
        assert diary(clbalance) == ["node1"]
        no_lease(clbalance, "node1")


@pytest.mark.parametrize("point", ["admitted", "forked"])
def test_a_node_that_fails_the_start_leaves_it_waiting_or_ended_but_not_nowhere(
    lab: Lab, clbalance: Command, point: str
) -> None:
    full(clbalance, "node1")
    number = queue(clbalance, "-q", "-w", "node1", "-c", TEXT)
    let_go(clbalance)
    clbalance("wait", "1")
    start_queued(clbalance, fail_at=point)
    found = job(clbalance, number)
    if point == "admitted":
        assert (found["state"], found["reason"]) == ("PENDING", "0/1 nodes fit: 1 refused by the node")
        assert diary(clbalance) == []
    else:
        assert (found["state"], found["rc"]) == ("FAILED", 137)


def test_a_starter_that_is_stopped_leaves_the_job_in_the_queue_or_running(clbalance: Command) -> None:
    full(clbalance, "node1")
    number = queue(clbalance, "-q", "-w", "node1", "-c", f"echo x >> diary; {held('exit 3', 'done')}")
    let_go(clbalance)
    clbalance("wait", "1")
    argv = [sys.executable, "-m", "tests.cli.start_queued"]
    for point, states in (("reserved", {"PENDING"}), ("ordered", {"PENDING", "RUNNING"})):
        env = {**clbalance.env, "CLBALANCE_FAIL_AT": f"{point}:stop"}
        child = subprocess.Popen(argv, env=env, cwd=clbalance.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        eventually(lambda pid=child.pid: is_stopped(pid))
        child.send_signal(signal.SIGTERM)
        child.send_signal(signal.SIGCONT)
        assert ended(child) == 128 + signal.SIGTERM
        assert job(clbalance, number)["state"] in states
    start_queued(clbalance)
    let_go(clbalance, "done")
    assert clbalance("wait", number).rc == 3
    assert diary(clbalance) == ["x"]


def is_stopped(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def test_two_starters_start_it_once(clbalance: Command) -> None:
    full(clbalance, "node1")
    numbers = [queue(clbalance, "-q", "-w", "node[1-2]", "--cpus", "0", "-c", TEXT) for _ in range(3)]
    let_go(clbalance)
    clbalance("wait", "1")
    argv = [sys.executable, "-m", "tests.cli.start_queued"]
    both = [
        subprocess.Popen(argv, env=dict(clbalance.env), cwd=clbalance.folder, stderr=subprocess.PIPE) for _ in range(2)
    ]
    assert [ended(child) for child in both] == [0, 0]
    clbalance("wait", *numbers)
    assert len(diary(clbalance)) == 3


def test_a_job_whose_node_failed_and_that_nobody_has_in_hand_is_started_elsewhere(lab: Lab, clbalance: Command) -> None:
    full(clbalance, "node2")
    text = f"echo $CLBALANCE_NODE >> diary; [ $CLBALANCE_NODE = node2 ] && exit 6; {held('', 'never')}"
    number = queue(clbalance, "-q", "--requeue", "-w", "node[1-2]", "-c", text)
    await_file(clbalance.folder / "diary")
    lab.node("node1").kill()
    lab.node("node1").boot()
    found = job(clbalance, number)
    assert (found["state"], found["reason"]) == ("PENDING", "node failure of node1; waits for `clbalance rebalance`")
    assert found["attempt"] == 1
    let_go(clbalance)
    clbalance("wait", "1")
    assert start_queued(clbalance).text == f"{number} JobStarted node2\n"
    assert clbalance("wait", number).rc == 6
    assert (job(clbalance, number)["attempt"], diary(clbalance)) == (2, ["node1", "node2"])


def test_a_job_whose_keeper_died_is_started_again_from_the_queue(lab: Lab, clbalance: Command) -> None:
    keeper_dies = {"CLBALANCE_FAIL_AT": "ended"}
    text = "echo x >> diary; [ $CLBALANCE_RESTART_COUNT = 1 ] || exit 85"
    done = clbalance("run", "-q", "--detach", "--requeue-exit", "85", "-w", "node1", "-c", text, env=keeper_dies)
    number = done.text.strip()
    eventually(lambda: job(clbalance, number)["reason"] == "exit code 85; waits for `clbalance rebalance`")
    assert start_queued(clbalance).text == f"{number} JobStarted node1\n"
    assert clbalance("wait", number).rc == 0
    assert diary(clbalance) == ["x", "x"]


def test_a_queued_job_keeps_its_standard_input(clbalance: Command) -> None:
    full(clbalance, "node1")
    done = clbalance("run", "--detach", "--queue", "-w", "node1", "--", "cat", stdin=b"kept")
    assert (done.rc, done.text) == (0, "2\n")
    let_go(clbalance)
    clbalance("wait", "1")
    assert start_queued(clbalance).text == "2 JobStarted node1\n"
    clbalance("wait", "2")
    assert clbalance("logs", "2").text == "kept"
