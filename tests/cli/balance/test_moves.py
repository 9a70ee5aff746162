"""Jobs that are moved: by their controller, or by who moves them where they have none. Never lost, never two at once."""

import json
import signal
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.model.job_record import JobState
from tests.cli.command import Command, nothing_left
from tests.cli.held_jobs import LATER, detached, job, let_go
from tests.cli.migrations import (
    BY_CODE,
    BY_FILE,
    CHECKPOINT,
    DEAF,
    KINDS,
    NODES,
    ONCE,
    REQUEUE,
    SLOW,
    WAITS,
    diary,
    finished,
    is_in_one_place,
    move,
    moved_once,
    moved_past_a_dead_target,
    never_twice,
    no_lease,
    orphan,
    record,
    runs,
    start_mover,
    word,
)
from tests.cli.run.test_run_ends import await_output
from tests.waiting import eventually


@pytest.mark.parametrize("controller", ["keeper", "nobody"])
def test_who_follows_a_job_follows_it_to_where_it_is_moved(lab: Lab, clbalance: Command, controller: str) -> None:
    prints = ("--requeue", "-c", f"{ONCE}echo on $CLBALANCE_NODE; {WAITS}")
    with nothing_left(lab):
        if controller == "keeper":
            detached(clbalance, *NODES, "--notify", "true", *prints)
        else:
            orphan(clbalance, *prints)
        asked, src, dst = word(clbalance)
        attached, logs = clbalance.start("attach"), clbalance.start("logs", "-f")
        for one in (attached, logs):
            assert await_output(one) == f"on {src}\n".encode()
        assert move(clbalance, asked) == [["Migrated", dst]]
        for one in (attached, logs):
            assert await_output(one) == f"on {dst}\n".encode()
        let_go(clbalance)
        _, message = attached.communicate()
        assert attached.returncode == 7
        assert f"job 1 continues on {dst}" in message.decode()
        logs.communicate()
        assert logs.returncode == 0


def test_who_is_attached_to_a_job_that_goes_back_to_the_queue_is_told_and_waits(clbalance: Command) -> None:
    orphan(clbalance, "--requeue-exit", "9", "-c", f"{ONCE}until [ -e go ]; do sleep 0.1; done; exit 9")
    runs(clbalance)
    attached = clbalance.start("attach")
    assert attached.stderr is not None
    assert attached.stderr.readline().startswith(b"clbalance: job 1 on node")
    let_go(clbalance)
    assert b"waits for `clbalance rebalance`" in attached.stderr.readline()
    assert clbalance("cancel", "1").rc == 0
    attached.communicate()
    assert attached.returncode != 0


@pytest.mark.parametrize(
    ("controller", "kind"),
    [("terminal", "checkpoint"), ("keeper", "requeue"), ("nobody", "checkpoint"), ("nobody", "requeue")],
)
def test_a_marked_job_goes_on_elsewhere(lab: Lab, clbalance: Command, kind: str, controller: str) -> None:
    with nothing_left(lab):
        if controller == "terminal":
            child = clbalance.start("run", *NODES, *KINDS[kind])
        elif controller == "keeper":
            detached(clbalance, *NODES, "--notify", "touch told", *KINDS[kind])
        else:
            orphan(clbalance, *KINDS[kind])
        asked, src, dst = word(clbalance)
        assert move(clbalance, asked) == [["Migrated", dst]]
        moved_once(clbalance, src, dst)
        found = record(clbalance)
        assert (found.state, found.attempt, found.has_controller) == (JobState.RUNNING, 2, controller != "nobody")
        let_go(clbalance)
        if controller == "terminal":
            code, _ = finished(child)
            assert code == 7
        if controller == "keeper":
            eventually((clbalance.folder / "told").exists)
        assert clbalance("wait", "1").rc == 7


def test_who_watches_is_told_and_sees_what_comes_after(clbalance: Command) -> None:
    child = clbalance.start("run", *NODES, "--requeue", "-c", f"echo at $CLBALANCE_RESTART_COUNT; {ONCE}{WAITS}")
    asked, src, dst = word(clbalance)
    assert move(clbalance, asked) == [["Migrated", dst]]
    runs(clbalance, 2)
    let_go(clbalance)
    out, err = child.communicate()
    assert (child.returncode, out) == (7, b"at 0\nat 1\n")
    assert f"clbalance: job 1 moves to {dst}: {src} is over\n" in err.decode()


@pytest.mark.parametrize("controller", ["terminal", "nobody"])
def test_a_file_that_the_job_writes_is_its_word(clbalance: Command, controller: str) -> None:
    options = (*NODES, *CHECKPOINT, "--checkpoint-file", "state", "-c", BY_FILE)
    if controller == "terminal":
        clbalance.start("run", *options)
    else:
        orphan(clbalance, *options[2:])
    asked, src, dst = word(clbalance)
    assert move(clbalance, asked) == [["Migrated", dst]]
    moved_once(clbalance, src, dst)
    assert (clbalance.folder / "state").read_text() == "saved\n"
    let_go(clbalance)
    assert clbalance("wait", "1").rc == 7


@pytest.mark.parametrize(("controller", "more"), [("terminal", ()), ("nobody", REQUEUE)])
def test_a_checkpoint_that_does_not_come_is_no_reason_to_kill(
    lab: Lab, clbalance: Command, controller: str, more: tuple[str, ...]
) -> None:
    options = (*more, "--checkpoint", "USR1:1s", "-c", DEAF)
    if controller == "terminal":
        clbalance.start("run", *NODES, *options)
    else:
        orphan(clbalance, *options)
    asked, src, dst = word(clbalance)
    assert move(clbalance, asked) == [["NotMigrated", "it did not checkpoint in time"]]
    found = job(clbalance, "1")
    assert (found["state"], found["attempt"], found["node_set"]) == ("RUNNING", 1, src)
    no_lease(clbalance, dst)
    let_go(clbalance)
    assert clbalance("wait", "1").rc == 7
    assert len(diary(clbalance)) == 1


@pytest.mark.parametrize(("controller", "rc", "state"), [("terminal", 0, "COMPLETED"), ("nobody", 3, "FAILED")])
def test_a_job_that_ends_by_itself_meanwhile_is_over(clbalance: Command, controller: str, rc: int, state: str) -> None:
    options = ("--checkpoint", "USR1", "-c", f"trap 'exit {rc}' USR1; {ONCE}{WAITS}")
    if controller == "terminal":
        clbalance.start("run", *NODES, *options)
    else:
        orphan(clbalance, *options)
    asked, _, dst = word(clbalance)
    assert move(clbalance, asked) == [["NotMigrated", f"it is {state}"]]
    assert (job(clbalance, "1")["state"], job(clbalance, "1")["rc"]) == (state, rc)
    no_lease(clbalance, dst)
    assert len(diary(clbalance)) == 1


@pytest.mark.parametrize(("controller", "fault"), [("terminal", "full"), ("nobody", "down")])
def test_a_target_that_says_no_or_nothing_leaves_the_job_alone(
    lab: Lab, clbalance: Command, controller: str, fault: str
) -> None:
    options = ("--requeue", *LATER, "-c", ONCE + WAITS)
    if controller == "terminal":
        clbalance.start("run", *NODES, *options)
    else:
        orphan(clbalance, *options)
    asked, src, dst = word(clbalance)
    if fault == "full":
        detached(clbalance, "-w", dst, "--exclusive", "-c", WAITS)
    else:
        lab.node(dst).kill()
    ((how, reason),) = move(clbalance, asked)
    assert (how, reason[: len(dst) + 1]) == ("NotMigrated", f"{dst}:")
    found = job(clbalance, "1")
    assert (found["state"], found["attempt"], found["node_set"]) == ("RUNNING", 1, src)
    let_go(clbalance)
    assert clbalance("wait", "1").rc == 7
    assert len(diary(clbalance)) == 1


def test_a_source_that_does_not_answer_is_left_alone(lab: Lab, clbalance: Command) -> None:
    orphan(clbalance, *CHECKPOINT, "-c", BY_CODE)
    asked, src, dst = word(clbalance)
    lab.node(src).hang()
    ((how, reason),) = move(clbalance, asked)
    lab.node(src).thaw()
    assert (how, reason) == ("NotMigrated", "its node does not answer")
    no_lease(clbalance, dst)
    let_go(clbalance)
    assert clbalance("wait", "1").rc == 7
    assert len(diary(clbalance)) == 1


def test_one_that_is_not_marked_is_never_touched(clbalance: Command) -> None:
    clbalance.start("run", *NODES, "--requeue-exit", "85", "-c", BY_CODE)
    asked, _, _ = word(clbalance)
    ((how, reason),) = move(clbalance, asked)
    assert (how, reason) == ("NotMigrated", "it is not marked: `run --requeue` or `run --checkpoint`")
    assert not (clbalance.folder / "state").exists()
    let_go(clbalance)
    assert clbalance("wait", "1").rc == 7


def test_exit_85_without_a_move_means_what_it_did(clbalance: Command) -> None:
    text = f"{ONCE} [ $CLBALANCE_RESTART_COUNT = 1 ] || exit 85"
    assert clbalance("run", *NODES, *CHECKPOINT, "-c", text).rc == 85
    assert clbalance("run", *NODES, *CHECKPOINT, "--requeue-exit", "85", "-c", text).rc == 0


def test_a_job_that_is_cancelled_while_it_checkpoints_is_started_no_more(clbalance: Command) -> None:
    slow = f"trap 'touch asked; until [ -e go ]; do sleep 0.02; done; exit 85' USR1; {ONCE}{WAITS}"
    child = clbalance.start("run", *NODES, *CHECKPOINT, "-c", slow)
    asked, _, dst = word(clbalance)
    mover = start_mover(clbalance, asked)
    eventually((clbalance.folder / "asked").exists)
    assert clbalance("cancel", "1").rc == 0
    code, message = finished(mover)
    assert code == 0
    assert json.loads(message)[0][0] == "NotMigrated"
    assert finished(child)[0] == 125
    assert job(clbalance, "1")["state"] == "CANCELLED"
    no_lease(clbalance, dst)
    assert len(diary(clbalance)) == 1


def test_who_waits_for_a_job_waits_on_where_it_goes_on(clbalance: Command) -> None:
    orphan(clbalance, *CHECKPOINT, "-c", BY_CODE)
    asked, src, dst = word(clbalance)
    waits = clbalance.start("wait", "1")
    assert move(clbalance, asked) == [["Migrated", dst]]
    moved_once(clbalance, src, dst)
    let_go(clbalance)
    assert finished(waits)[0] == 7


def test_one_waits_for_the_place_that_another_leaves(clbalance: Command) -> None:
    for number in (1, 2):
        options = ("--exclusive", "--chdir", str(folder_of(clbalance, number)), *CHECKPOINT, "-c", BY_CODE)
        detached(clbalance, "-w", f"node{number}", *options)
        eventually((folder_of(clbalance, number) / "diary").exists)
    done = move(clbalance, "1:node1:node3", "2:node2:node1")
    assert done == [["Migrated", "node3"], ["Migrated", "node1"]]
    for number in (1, 2):
        (folder_of(clbalance, number) / "go").touch()
        assert clbalance("wait", str(number)).rc == 7
        assert not (folder_of(clbalance, number) / "twice").exists()


def folder_of(clbalance: Command, number: int) -> Path:
    made = clbalance.folder / f"of{number}"
    made.mkdir(exist_ok=True)
    return made


@pytest.mark.parametrize("controller", ["terminal", "nobody"])
def test_a_target_that_dies_while_the_job_checkpoints_is_replaced(
    lab: Lab, clbalance: Command, controller: str
) -> None:
    options = ("-w", "node[1-3]", *CHECKPOINT, "-c", SLOW)
    if controller == "terminal":
        child = clbalance.start("run", *LATER, *options)
    else:
        detached(clbalance, *options)
    src, third = moved_past_a_dead_target(lab, clbalance)
    moved_once(clbalance, src, third)
    let_go(clbalance)
    if controller == "terminal":
        assert finished(child)[0] == 7
    assert clbalance("wait", "1").rc == 7


def test_who_interrupts_the_run_ends_the_job_for_good(clbalance: Command) -> None:
    child = clbalance.start("run", *NODES, *CHECKPOINT, "-c", SLOW)
    asked, _, dst = word(clbalance)
    mover = start_mover(clbalance, asked)
    eventually((clbalance.folder / "asked").exists)
    child.send_signal(signal.SIGINT)
    assert finished(child)[0] == 130
    code, message = finished(mover)
    assert code == 0
    assert "stopped by SIGINT" in message
    assert job(clbalance, "1")["state"] == "CANCELLED"
    no_lease(clbalance, dst)
    assert len(diary(clbalance)) == 1


def test_who_interrupts_the_mover_leaves_a_job_that_runs_or_waits(clbalance: Command) -> None:
    orphan(clbalance, *CHECKPOINT, "-c", SLOW)
    asked, _, dst = word(clbalance)
    mover = start_mover(clbalance, asked)
    eventually((clbalance.folder / "asked").exists)
    mover.send_signal(signal.SIGTERM)
    assert finished(mover)[0] == 128 + signal.SIGTERM
    found = record(clbalance)
    assert (found.state, found.attempt, found.has_controller) == (JobState.RUNNING, 1, False)
    no_lease(clbalance, dst)
    (clbalance.folder / "saved").touch()
    eventually(lambda: is_in_one_place(clbalance, clbalance.folder))
    assert len(diary(clbalance)) == 1


def test_what_is_stopped_already_is_started_before_the_mover_goes(clbalance: Command) -> None:
    """Told to stop as the job has heeded the signal: it has time enough."""
    orphan(clbalance, *CHECKPOINT, "-c", SLOW)
    asked, _, _ = word(clbalance)
    mover = start_mover(clbalance, asked)
    eventually((clbalance.folder / "asked").exists)
    (clbalance.folder / "saved").touch()
    mover.send_signal(signal.SIGTERM)
    assert finished(mover)[0] in {0, 128 + signal.SIGTERM}
    eventually(lambda: is_in_one_place(clbalance, clbalance.folder))
    never_twice(clbalance)
    let_go(clbalance)
