"""`cancel` ends what is meant, wherever it is on its way, and says what it could not end."""

import contextlib
import signal
import sqlite3
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Child, Command, ended, nothing_left
from tests.cli.held_jobs import SOON, detached, held, job, let_go
from tests.cli.run.test_run_ends import STUBBORN, await_output
from tests.waiting import eventually


@pytest.mark.parametrize("words", [("1",), ("train",), ("last",), ("-w", "node[1,5]"), ("--all",)], ids=" ".join)
def test_a_job_is_ended_however_it_is_named(lab: Lab, clbalance: Command, words: tuple[str, ...]) -> None:
    with nothing_left(lab):
        detached(clbalance, "-w", "node1", "--name", "train", "-c", STUBBORN)
        done = clbalance("cancel", *words)
        assert (done.rc, done.stderr) == (0, "clbalance: job 1: CANCELLED\n")
    found = job(clbalance, "1")
    assert (found["state"], found["rc"]) == ("CANCELLED", 125)
    assert found["reason"].startswith("cancelled by ")


def test_jobs_elsewhere_go_on(clbalance: Command) -> None:
    for node in ("node1", "node2"):
        detached(clbalance, "-w", node, "-c", held())
    assert clbalance("cancel", "-w", "node1").stderr == "clbalance: job 1: CANCELLED\n"
    assert [job(clbalance, one)["state"] for one in "12"] == ["CANCELLED", "RUNNING"]
    let_go(clbalance)


def test_nobody_means_all_jobs_by_saying_nothing(clbalance: Command) -> None:
    done = clbalance("cancel")
    assert (done.rc, done.stderr.splitlines()[0]) == (2, "clbalance: no job named")
    assert clbalance("cancel", "--all").stderr == "clbalance: no such job is running or waiting\n"


def test_a_job_that_is_over_is_left_as_it_was(clbalance: Command) -> None:
    clbalance("run", "-w", "node1", "--", "false")
    done = clbalance("cancel", "1")
    assert (done.rc, done.stderr) == (0, "clbalance: job 1: FAILED already\n")


def test_only_a_signal_lets_it_run(clbalance: Command) -> None:
    text = f"trap 'echo got it' USR1; echo up; {held('exit 0')}"
    child = clbalance.start("run", "-w", "node[1-2]", "--pick", "2", "-q", "-c", text)
    await_output(child, lines=2)
    assert clbalance("cancel", "--signal", "usr1", "1").stderr == "clbalance: job 1: sent SIGUSR1\n"
    let_go(clbalance)
    out, _ = child.communicate()
    assert child.returncode == 0
    assert {b"node1: got it", b"node2: got it"} <= set(out.splitlines())


def test_a_signal_that_is_none_is_told(clbalance: Command) -> None:
    for name in ("FOO", "99", "0"):
        done = clbalance("cancel", "--all", "--signal", name)
        assert (done.rc, done.stderr.splitlines()[0]) == (2, f"clbalance: unknown signal '{name}'")


def test_a_run_whose_job_is_cancelled_says_by_whom(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node1", "--retry", "3", "--requeue", "-c", f"echo up; {held()}")
        await_output(child)
        assert clbalance("cancel", "1").rc == 0
        _, err = child.communicate()
    assert child.returncode == 125
    assert b"CANCELLED" in err
    assert b"cancelled by " in err


def stopped_outside_of_writes(child: Child, command: Command) -> bool:
    """Whether `child` was stopped while it did not hold the state's write lock, which would be shut for everybody."""
    child.send_signal(signal.SIGSTOP)
    with contextlib.closing(sqlite3.connect(Path(command.env["CLBALANCE_STATE_DIR"]) / "state.db", timeout=0)) as state:
        try:
            state.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            child.send_signal(signal.SIGCONT)
            return False
    return True


def test_a_job_that_its_nodes_say_is_over_is_cancelled_though_who_has_it_in_hand_has_not_written_that(
    lab: Lab, clbalance: Command
) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node1", "-c", f"echo up; {held()}")
        await_output(child)
        eventually(lambda: job(clbalance, "1")["state"] == "RUNNING")  # its output may come before this is written
        eventually(lambda: stopped_outside_of_writes(child, clbalance))
        try:
            done = clbalance("cancel", "--all")
        finally:
            child.send_signal(signal.SIGCONT)
        assert (done.rc, done.stderr) == (0, "clbalance: job 1: CANCELLED\n")
        assert ended(child) == 125
    assert job(clbalance, "1")["state"] == "CANCELLED"


def test_a_job_that_waits_for_a_place_is_never_started(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    number = detached(clbalance, "--queue-for", "1m", "-w", "node1", "--", "touch", "ran")
    assert job(clbalance, number)["state"] == "PENDING"
    # CANCELLED where its controller has seen it before `cancel` looks.
    told = clbalance("cancel", number).stderr
    assert told in {f"clbalance: job 1: {one}\n" for one in ("will not be started", "CANCELLED")}
    lab.node("node1").load(r1m=0.0)
    eventually(lambda: job(clbalance, number)["state"] == "CANCELLED")
    assert job(clbalance, number)["reason"].startswith("cancelled by ")
    assert not (clbalance.folder / "ran").exists()


def test_a_job_that_waits_for_another_is_never_started(clbalance: Command) -> None:
    detached(clbalance, "-w", "node1", "-c", held())
    waits = clbalance.start("run", "--after", "1", "-w", "node1", "--", "touch", "ran")
    eventually(lambda: "2 " in clbalance("jobs").text)
    assert clbalance("cancel", "2").rc == 0
    assert ended(waits) == 125
    assert job(clbalance, "2")["state"] == "CANCELLED"
    let_go(clbalance)
    assert clbalance("wait", "1").rc == 0
    assert not (clbalance.folder / "ran").exists()


def test_what_a_silent_node_may_still_run_is_told(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    lab.node("node1").hang()
    done = clbalance("cancel", number, *SOON)
    assert done.rc == 4
    assert "it may run on, and is ended once the node answers" in done.stderr


def test_a_signal_is_not_kept_for_a_silent_node(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held("exit 3"))
    lab.node("node1").hang()
    done = clbalance("cancel", number, "--signal", "USR1", *SOON)
    assert (done.rc, "the signal was not sent" in done.stderr) == (4, True)
    lab.node("node1").thaw()
    let_go(clbalance)
    assert clbalance("wait", number).rc == 3


def test_a_terminal_shows_for_which_node_it_waits(lab: Lab, clbalance: Command) -> None:
    detached(clbalance, "-w", "node1", "--", "sleep", "300")
    lab.node("node1").hang()
    terminal = clbalance.on_terminal("cancel", "1", "-t", "3s", "-u", "1s")  # longer than until it is shown
    terminal.read_until(b"0/1 nodes have answered, waiting for node1")
    assert terminal.end() == 4
