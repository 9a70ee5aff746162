"""A slot: many small tasks one after the other under one lease, and a log that tells of each whatever dies."""

import signal
from pathlib import Path

import pytest

from tests.node.agent_client import gone, pids_in
from tests.node.lives import ask_settle, kill, marks_in
from tests.node.slots import STREAMS, Slots, ends, entries, follow_to_the_end
from tests.waiting import eventually


def test_tasks_run_in_their_order_and_the_log_tells_whose_output_is_whose(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    slots.give(client, slot, (3, "echo three"), (1, "echo one >&2; exit 7"))
    slots.give(client, slot, (2, 'echo "two $CLBALANCE_TASK_ID"'))
    client.ask("finish", slot.job)
    stdout, stderr, log, ended = follow_to_the_end(client, slot)
    assert (stdout, stderr) == (b"three\ntwo 2\n", b"one\n")
    assert [entry[1] for entry in log if entry[0] == "s"] == [3, 1, 2]
    assert [[entry[1], entry[2], *entry[4:]] for entry in log if entry[0] == "e"] == [
        [3, {"kind": "exited", "rc": 0}, 6, 0],
        [1, {"kind": "exited", "rc": 7}, 6, 4],
        [2, {"kind": "exited", "rc": 0}, 12, 4],
    ]
    assert ended["end"] == {"kind": "exited", "rc": 0}


def test_no_end_of_a_task_is_told_after_output_of_the_next(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    client.output[slot.job, "log"] = bytearray()
    client.ask("follow", slot.job, window=1 << 20, streams=STREAMS)
    slots.give(client, slot, *((number, f"echo {number}; echo {number} >&2") for number in range(1, 200)))
    client.ask("finish", slot.job)
    while client.event()["ev"] != "ended":
        log = entries(bytes(client.output[slot.job, "log"]))
        last = [entry for entry in log if entry[0] == "e"][-1:]
        running = last[0][1] + 1 if last else 1
        for stream in ("stdout", "stderr"):
            lines = bytes(client.output.get((slot.job, stream), b"")).split()
            assert not lines or int(lines[-1]) <= running


def test_the_log_is_followed_from_the_order_to_start_on(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client, wait=False)
    client.output[slot.job, "log"] = bytearray()
    client.ask("follow", slot.job, window=1 << 20, streams=STREAMS)
    slots.give(client, slot, (1, "true"))
    client.ask("finish", slot.job)
    client.until("ended", slot.job)
    assert set(ends(entries(bytes(client.output[slot.job, "log"])))) == {1}


def test_the_ends_of_short_tasks_are_told_while_a_long_one_runs(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    gate = slots.node.base / "gate"
    client.output[slot.job, "log"] = bytearray()
    client.ask("follow", slot.job, window=1 << 20, streams=STREAMS)
    slots.give(client, slot, (1, "true"), (2, "true"), (3, f"until [ -e {gate} ]; do sleep 0.1; done"))
    while set(ends(entries(bytes(client.output[slot.job, "log"])))) != {1, 2}:
        client.until("output")
    gate.touch()
    client.ask("finish", slot.job)
    client.until("ended", slot.job)


def test_a_start_is_in_the_log_before_the_task_runs(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    slots.give(client, slot, (5, 'cat "$CLBALANCE_JOB_DIR/log"'))
    client.ask("finish", slot.job)
    assert follow_to_the_end(client, slot)[0] == b'["s", 5]\n'


def test_what_a_task_leaves_running_does_not_meet_the_next(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    pids = slots.node.base / "pids"
    slots.give(client, slot, (1, f"(trap '' TERM; setsid sleep 300 & echo $! >> {pids}) & wait"), (2, f"cat {pids}"))
    client.ask("finish", slot.job)
    stdout, _, log, _ = follow_to_the_end(client, slot)
    assert gone([int(stdout)])
    assert ends(log)[1] == {"kind": "exited", "rc": 0}


def test_a_task_that_cannot_be_executed_says_so_as_a_shell_would(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client, ("/nowhere/prog",))
    slots.give(client, slot, (1, "x"))
    client.ask("finish", slot.job)
    _, stderr, log, _ = follow_to_the_end(client, slot)
    assert stderr == b"clbalance: /nowhere/prog: No such file or directory\n"
    assert ends(log) == {1: {"kind": "exited", "rc": 127}}


def test_the_time_limit_is_a_tasks_own(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client, time_limit_s=0.3, grace_s=0.2)
    slots.give(client, slot, (1, "trap : TERM; while :; do sleep 0.05; done"), (2, "echo next"))
    client.ask("finish", slot.job)
    stdout, _, log, _ = follow_to_the_end(client, slot)
    assert stdout.endswith(b"next\n")
    assert ends(log) == {1: {"kind": "timeout"}, 2: {"kind": "exited", "rc": 0}}


def test_ended_it_gives_back_what_it_has_not_started(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    ran = slots.node.base / "ran"
    slots.give(client, slot, *((number, f"echo >> {ran}; sleep 300") for number in (1, 2, 3)))
    eventually(lambda: marks_in(ran))
    client.ask("end", slot.job, grace_s=0.2, why="enough")
    _, _, log, ended = follow_to_the_end(client, slot)
    assert ends(log) == {1: {"kind": "cancelled", "why": "enough"}}
    assert [entry for entry in log if entry[0] == "b"] == [["b", 2], ["b", 3]]
    assert ended["end"] == {"kind": "cancelled", "why": "enough"}
    assert marks_in(ran) == 1


def test_without_its_agent_it_does_what_it_has_and_ends(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    ran = slots.node.base / "ran"
    slots.give(client, slot, *((number, f"echo >> {ran}; sleep 0.05") for number in range(5)))
    eventually(lambda: marks_in(ran))
    client.process.kill()
    eventually(lambda: slots.settle(slot)["state"] == "ended")
    assert marks_in(ran) == 5
    assert set(ends(slots.log(slot))) == set(range(5))
    other = slots.agent()
    assert ask_settle(other, slot, void=True)["state"] == "ended"
    assert len(ends(follow_to_the_end(other, slot)[2])) == 5


def test_a_killed_slot_takes_its_task_along_and_leaves_what_it_had_begun_in_its_log(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    pids = slots.node.base / "pids"
    slots.give(client, slot, (1, "true"), (2, f"echo $$ > {pids}; sleep 300"), (3, "true"))
    (task,) = pids_in(pids, 1)
    kill(slots.supervisor_of(slot.job))
    assert gone([task])
    _, _, log, ended = follow_to_the_end(client, slot)
    assert ended["end"] == {"kind": "killed", "signal": signal.SIGKILL}
    assert set(ends(log)) == {1}
    assert [entry[1] for entry in log if entry[0] == "s"] == [1, 2, 3]


def test_a_task_that_stops_its_slot_by_a_full_disk_is_told(tiny_base: None, slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    fills = slots.node.base / "fills"
    slots.give(client, slot, *((number, f"cat /dev/zero 2>/dev/null > {fills}") for number in range(400)))
    client.ask("finish", slot.job)
    ended = follow_to_the_end(client, slot)[3]
    assert ended["end"] == {"kind": "exited", "rc": 1}
    assert ended["warnings"] == ["the log of tasks: No space left on device"]
    fills.unlink()


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("x", "is no task"),
        ([1], "is no task"),
        (["1", []], "is no task"),
        ([1, "x"], "is no task"),
        ([-1, []], "is no task"),
        ([1, [2]], "must be text"),
        ([1, ["\0"]], "holds a NUL"),
    ],
)
def test_what_is_no_task_is_an_error_and_the_slot_goes_on(slots: Slots, task: object, reason: str) -> None:
    client = slots.agent()
    slot = slots.open(client)
    client.ask("tasks", slot.job, tasks=[task])
    assert reason in client.event()["why"]
    slots.give(client, slot, (1, "echo on"))
    client.ask("finish", slot.job)
    assert follow_to_the_end(client, slot)[0] == b"on\n"


def test_a_job_that_is_no_slot_takes_no_tasks(slots: Slots) -> None:
    client = slots.agent()
    claim, _ = slots.start(client, "sleep 300")
    client.ask("tasks", claim.job, tasks=[])
    assert "is no slot" in client.event()["why"]


def test_nothing_is_left_of_a_slot_but_its_records(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    supervisor = slots.supervisor_of(slot.job)
    client.ask("finish", slot.job)
    follow_to_the_end(client, slot)
    assert gone([supervisor])
    assert not list(Path(slots.node.base).glob("clbalance-*/lease-*"))
