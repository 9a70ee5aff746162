"""A cancel that has not reached every node is kept, shown, and carried out by the next command that reaches them."""

import signal

import pytest

from clbalance.lab.cluster import Lab
from clbalance.model.job_record import JobState
from tests.cli.command import Command, command_lines, ended, nothing_left
from tests.cli.held_jobs import LATER, SOON, await_file, detached, held, job, let_go
from tests.cli.migrations import record
from tests.cli.run.test_run_ends import await_output
from tests.waiting import eventually

WAITS = "cancel asked for, node does not answer: node1: "


def cancel_on_hung_node(lab: Lab, clbalance: Command, number: str) -> None:
    """Cancel a job while node1 hangs, and let the node answer again."""
    lab.node("node1").hang()
    assert clbalance("cancel", number, *SOON).rc == 4
    lab.node("node1").thaw()


def waits_at_gate(lab: Lab) -> bool:
    """Whether a job waits on node1 for the gate `go`."""
    pids = lab.node("node1").processes()
    return any(pid in pids and held().encode() in argv for pid, argv in command_lines())


def cancelled(clbalance: Command, number: str) -> bool:
    """Whether the job was ended by the cancel of its user."""
    found = job(clbalance, number)
    return (found["state"], found["rc"]) == ("CANCELLED", 125) and found["reason"].startswith("cancelled by ")


def test_a_cancel_that_waits_for_a_node_is_the_reason_of_the_job(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    lab.node("node1").hang()
    assert clbalance("cancel", number, *SOON).rc == 4
    found = job(clbalance, number, *SOON)
    assert found["state"] == "RUNNING"
    assert found["reason"].startswith(WAITS)
    assert WAITS in " ".join(clbalance("jobs", *SOON).text.split())
    lab.node("node1").thaw()


OF_THAT_JOB = [("jobs",), ("jobs", "1"), ("wait", "1"), ("cancel", "1"), ("cancel", "--all"), ("attach", "1")]
OF_THE_NODE = [
    # On that node alone: where another one has answered, it is not waited for.
    ("run", "-w", "node1", "--", "true"),
    ("run", "-w", "node1", "--detach", "--", "true"),
    ("run", "-w", "node1", "--array", "1-2", "--", "true"),
    ("rebalance", "-w", "node2"),
    ("rebalance", "-w", "node[1-2]", "--apply"),
]
OF_ANOTHER_JOB = [("jobs", "2"), ("cancel", "2")]


@pytest.mark.parametrize("verb", [*OF_THAT_JOB, *OF_THE_NODE, *OF_ANOTHER_JOB], ids=" ".join)
def test_the_next_command_that_reaches_the_node_ends_the_job(
    lab: Lab, clbalance: Command, verb: tuple[str, ...]
) -> None:
    with nothing_left(lab):
        number = detached(clbalance, "-w", "node1", "-c", held())
        if verb in OF_ANOTHER_JOB:
            detached(clbalance, "-w", "node1", "-c", held(gate="other"))
        cancel_on_hung_node(lab, clbalance, number)
        clbalance(*verb)
        if verb in OF_THAT_JOB:
            assert record(clbalance).state is JobState.CANCELLED
        else:  # it has told the node to end the job, and does not wait for that for long
            eventually(lambda: not waits_at_gate(lab))
        assert cancelled(clbalance, number)
        let_go(clbalance, "other")


@pytest.mark.parametrize("options", [(), ("--detach",), ("--detach", "--retry", "1")], ids=" ".join)
def test_room_that_a_kept_cancel_gives_back_is_there_for_the_run_that_carries_it_out(
    lab: Lab, clbalance: Command, options: tuple[str, ...]
) -> None:
    number = detached(clbalance, "-w", "node1", "--exclusive", "-c", held())
    cancel_on_hung_node(lab, clbalance, number)
    assert clbalance("run", "-w", "node1", "--exclusive", *options, "--", "true").rc == 0
    assert clbalance("wait", "last").rc == 0
    assert cancelled(clbalance, number)


def test_every_copy_is_ended_each_when_its_node_answers(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        number = detached(clbalance, "-w", "node[1-3]", "--pick", "3", "-c", held())
        lab.node("node1").hang()
        assert clbalance("cancel", number, *LATER).rc == 4
        eventually(lambda: not lab.node("node2").processes()[2:])
        assert job(clbalance, number, *SOON)["reason"].startswith(WAITS)
        lab.node("node1").thaw()
        assert cancelled(clbalance, number)


def test_the_tasks_of_a_cancelled_job_are_ended_and_no_further_one_is_run(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        number = detached(clbalance, "-w", "node1", "--array", "1-9%2", "-c", f"echo >> began; {held()}")
        await_file(clbalance.folder / "began")
        cancel_on_hung_node(lab, clbalance, number)
        eventually(lambda: job(clbalance, number)["state"] == "CANCELLED")
        assert len((clbalance.folder / "began").read_text().splitlines()) <= 2


@pytest.mark.parametrize("options", [("--retry", "3"), ("--requeue",), ("--requeue-exit", "143"), ("--queue",)])
def test_a_cancelled_job_is_never_started_again(lab: Lab, clbalance: Command, options: tuple[str, ...]) -> None:
    with nothing_left(lab):
        number = detached(clbalance, "-w", "node1", *options, "-c", f"echo >> began; {held()}")
        if options == ("--queue",):
            eventually(lambda: clbalance("rebalance", "--apply", "-w", "node1").rc == 0)
        await_file(clbalance.folder / "began")
        cancel_on_hung_node(lab, clbalance, number)
        eventually(lambda: job(clbalance, number)["state"] == "CANCELLED")
        clbalance("rebalance", "--apply", "-w", "node1")
        assert cancelled(clbalance, number)
        assert (clbalance.folder / "began").read_text().count("\n") == 1


def test_the_controller_of_a_job_carries_the_cancel_out(lab: Lab, clbalance: Command) -> None:
    with nothing_left(lab):
        child = clbalance.start("run", "-w", "node1", "-c", f"echo up; {held()}")
        await_output(child)
        cancel_on_hung_node(lab, clbalance, "1")
        assert ended(child) == 125
    assert cancelled(clbalance, "1")


def test_a_cancel_that_its_own_process_could_not_carry_out_is_carried_out_all_the_same(
    lab: Lab, clbalance: Command
) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    lab.node("node1").hang()
    child = clbalance.start("cancel", number)
    eventually(lambda: "cancel asked for" in clbalance("jobs", *SOON).text)
    child.send_signal(signal.SIGKILL)
    ended(child)
    lab.node("node1").thaw()
    assert cancelled(clbalance, number)


def test_a_node_that_was_booted_meanwhile_has_ended_the_job_itself(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", held())
    lab.node("node1").kill()
    assert clbalance("cancel", number, *SOON).rc == 4
    lab.node("node1").boot()
    assert job(clbalance, number)["state"] == "NODE_FAIL"
    assert job(clbalance, number)["attempt"] == 1


def test_requeue_carries_a_kept_cancel_out_before_it_starts_the_job_again(lab: Lab, clbalance: Command) -> None:
    number = detached(clbalance, "-w", "node1", "-c", f"echo >> began; {held('exit 5')}")
    await_file(clbalance.folder / "began")
    lab.node("node1").hang()
    assert clbalance("cancel", number, *SOON).rc == 4
    refused = clbalance("requeue", number, *SOON)
    assert (refused.rc, "may still run on node1" in refused.stderr) == (2, True)
    lab.node("node1").thaw()
    assert clbalance("requeue", "--detach", number).rc == 0
    assert job(clbalance, number)["state"] == "RUNNING"
    let_go(clbalance)
    assert clbalance("wait", number).rc == 5
    assert (clbalance.folder / "began").read_text().count("\n") == 2
