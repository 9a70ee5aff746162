"""A slot's guard: whatever kills the supervisor, nothing of its task stays, although no task is tied by the kernel."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.faults.soak import trials
from tests.node.agent_client import (
    NOTHING,
    AgentClient,
    gone,
    lives,
    pids_in,
    plain,
    without_prctl,
    without_sessions_in_spawn,
)
from tests.node.lives import Claim, carriers, kill, marks_in
from tests.node.slots import Slots, ends, follow_to_the_end
from tests.node.test_agent_age import pythons
from tests.node.test_agent_tree import DEAF
from tests.waiting import eventually

FAMILY = f"""{DEAF}
echo $$ >> pids
sh -c 'echo $$ >> pids; exec sleep 600' &
setsid sh -c 'echo $$ >> pids; sleep 600; :' &
( setsid sh -c 'sh -c "echo \\$\\$ >> pids; sleep 600; :" & exit 0' & )
env -i setsid /bin/sh -c 'echo $$ >> pids; sleep 600; :' &
wait
"""
MEMBERS = 5  # the last of whom no launch key can find
LASTS = "echo $$ >> pids; exec sleep 600"

# How a program was started, as it sees that itself. glibc's posix_spawn leaves two signals of its own ignored, 32 and 33.
SEEN = """
import ctypes, os, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status"))
print(status["SigBlk"].strip(), status["Umask"].strip(), hex(int(status["SigIgn"], 16) & ~(3 << 31)))
print(os.getsid(0) == os.getpgid(0) == os.getpid(), os.getcwd(), sorted(os.listdir("/proc/self/fd")), sys.stdin.read())
print(*(os.readlink(f"/proc/self/fd/{fd}") for fd in (0, 1, 2)))
print(sorted(os.environ.items()))
dies_by = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(dies_by), 0, 0, 0)
print(dies_by.value)
"""


def guard_of(slots: Slots, slot: Claim) -> int:
    return psutil.Process(slots.supervisor_of(slot.job)).ppid()


@pytest.fixture
def alone(slots: Slots) -> Callable[[str], tuple[Claim, int, int]]:
    """A slot with a running task and no agent that could look after it: with the pids of supervisor and guard."""

    def begin(task: str, members: int = 1) -> tuple[Claim, int, int]:
        client = slots.agent()
        slot = slots.open(client)
        supervisor, guard = slots.supervisor_of(slot.job), guard_of(slots, slot)
        slots.give(client, slot, (1, task))
        pids_in(slots.node.base / "pids", members)
        kill(client.process.pid)
        return slot, supervisor, guard

    return begin


# What dies


def test_whatever_a_killed_slot_has_started_is_ended_though_nobody_looks(
    slots: Slots, alone: Callable[..., tuple[Claim, int, int]]
) -> None:
    _, supervisor, guard = alone(FAMILY, MEMBERS)
    kill(supervisor)
    assert gone([*pids_in(slots.node.base / "pids", MEMBERS), guard])


def test_whatever_a_slot_has_started_is_ended_with_it_at_any_moment(slots: Slots) -> None:
    """Between two tasks, too, and while one is made."""
    chance = random.Random(7)
    for _ in range(trials(few=15, full=500)):
        client = slots.agent()
        slot = slots.open(client)
        supervisor, guard = slots.supervisor_of(slot.job), guard_of(slots, slot)
        ran = slots.node.base / slot.job
        slots.give(client, slot, *((n, f"echo >> {ran}; (setsid sleep 600 &)") for n in range(1000)))
        eventually(lambda ran=ran: marks_in(ran) > 1)
        kill(client.process.pid)
        time.sleep(chance.uniform(0, 0.03))
        kill(supervisor)
        assert gone([guard])
        assert not carriers(slot.job)
        ended = marks_in(ran)
        assert 0 < ended < 1000


def test_a_slot_whose_guard_is_killed_does_its_tasks(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    supervisor = slots.supervisor_of(slot.job)
    slots.give(client, slot, (1, "echo one"))
    eventually(lambda: ends(slots.log(slot)))
    kill(guard_of(slots, slot))
    assert lives(supervisor)
    slots.give(client, slot, (2, "echo two; exit 3"))
    client.ask("finish", slot.job)
    stdout, _, log, ended = follow_to_the_end(client, slot)
    assert stdout == b"one\ntwo\n"
    assert ends(log) == {1: {"kind": "exited", "rc": 0}, 2: {"kind": "exited", "rc": 3}}
    assert ended["end"] == {"kind": "exited", "rc": 0}


def test_what_is_started_after_its_guard_was_killed_ends_with_its_slot_all_the_same(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    kill(guard_of(slots, slot))
    slots.give(client, slot, (1, LASTS))
    (task,) = pids_in(slots.node.base / "pids", 1)
    kill(client.process.pid)
    kill(slots.supervisor_of(slot.job))
    assert gone([task])


def test_what_ran_when_the_guard_and_then_its_slot_were_killed_ends_before_anybody_is_told(
    slots: Slots, alone: Callable[..., tuple[Claim, int, int]]
) -> None:
    slot, supervisor, guard = alone(FAMILY.replace("env -i ", ""), MEMBERS)
    kill(guard)
    kill(supervisor)
    parsed = slots.settle(slot)
    assert not carriers(slot.job)
    assert parsed["record"]["end"] == {"kind": "killed", "signal": signal.SIGKILL}
    assert gone(pids_in(slots.node.base / "pids", MEMBERS))


def test_the_agent_ends_what_ran_when_the_guard_and_then_its_slot_were_killed(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client)
    supervisor = slots.supervisor_of(slot.job)
    slots.give(client, slot, (1, LASTS))
    (task,) = pids_in(slots.node.base / "pids", 1)
    kill(guard_of(slots, slot))
    kill(supervisor)
    assert gone([task])
    assert follow_to_the_end(client, slot)[3]["end"] == {"kind": "killed", "signal": signal.SIGKILL}


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_guard_stands_through_what_ends_others(
    slots: Slots, alone: Callable[..., tuple[Claim, int, int]], number: int
) -> None:
    _, supervisor, guard = alone(LASTS)
    os.kill(guard, number)
    time.sleep(0.1)
    assert lives(guard)
    kill(supervisor)
    assert gone(pids_in(slots.node.base / "pids", 1))


# What it keeps, and when it goes


def test_a_guard_holds_nothing_but_itself(slots: Slots) -> None:
    slot = slots.open(slots.agent())
    guard = Path("/proc") / str(guard_of(slots, slot))
    eventually(lambda: {os.readlink(fd) for fd in (guard / "fd").iterdir()} == {os.devnull})
    assert {fd.name for fd in (guard / "fd").iterdir()} == {"0", "1", "2"}
    assert os.getsid(int(guard.name)) != os.getsid(0)


ENDS: dict[str, Callable[[Slots, AgentClient, Claim], object]] = {
    "no more tasks": lambda slots, client, slot: client.ask("finish", slot.job),
    "told to end": lambda slots, client, slot: client.ask("end", slot.job, grace_s=0, why="enough"),
    "supervisor told to stop": lambda slots, client, slot: os.kill(slots.supervisor_of(slot.job), signal.SIGTERM),
    "agent gone": lambda slots, client, slot: client.process.kill(),
    "supervisor killed": lambda slots, client, slot: os.kill(slots.supervisor_of(slot.job), signal.SIGKILL),
}


@pytest.mark.parametrize("way", ENDS)
def test_no_guard_stays_when_its_slot_has_ended(slots: Slots, way: str) -> None:
    client = slots.agent()
    slot = slots.open(client)
    guard = guard_of(slots, slot)
    slots.give(client, slot, (1, "(setsid sleep 600 &)"))
    eventually(lambda: ends(slots.log(slot)))
    ENDS[way](slots, client, slot)
    assert gone([guard])


def test_no_guard_stays_of_a_slot_that_was_not_started(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.claim(client)
    client.ask("admit", slot.job, lease=NOTHING, capacity={"cpus": None, "slots": None}, tasks=True)
    client.until("admitted", slot.job)
    guard = guard_of(slots, slot)
    client.process.kill()
    assert gone([guard])


def test_a_job_without_tasks_has_none(slots: Slots) -> None:
    client = slots.agent()
    _, supervisor = slots.start(client, "sleep 600")
    commands = psutil.Process(supervisor).cmdline(), psutil.Process(psutil.Process(supervisor).ppid()).cmdline()
    assert commands[0] != commands[1]


# How tasks are started


def test_a_task_is_started_the_same_with_and_without_a_guard(slots: Slots) -> None:
    client = slots.agent()
    slot = slots.open(client, (sys.executable, "-I", "-S", "-c"), umask=0o027, env={"SAID": "grüße"})
    slots.give(client, slot, (1, SEEN))
    eventually(lambda: ends(slots.log(slot)))
    kill(guard_of(slots, slot))
    slots.give(client, slot, (1, SEEN))
    client.ask("finish", slot.job)
    lines = follow_to_the_end(client, slot)[0].splitlines()
    assert lines[:4] == lines[5:9]
    assert [lines[4], lines[9]] == [b"0", b"9"]  # only without one it is tied to its slot by the kernel
    assert lines[0].split()[:2] == [b"0" * 16, b"0027"]
    assert lines[1].startswith(b"True ")


@pytest.mark.parametrize("guarded", [True, False])
def test_a_task_that_cannot_be_executed_says_so_with_and_without_a_guard(slots: Slots, guarded: bool) -> None:
    client = slots.agent()
    program = slots.node.base / "program"
    slot = slots.open(client, (str(program),))
    if not guarded:
        kill(guard_of(slots, slot))
    for number, (content, mode) in enumerate(
        [("", 0), ("#!/bin/sh\n", 0o644), ("#!/nowhere/sh\n", 0o755), ("x", 0o755)]
    ):
        program.unlink(missing_ok=True)
        if mode:
            program.write_text(content)
            program.chmod(mode)
        slots.give(client, slot, (number, "x"))
        eventually(lambda number=number: number in ends(slots.log(slot)))
    client.ask("finish", slot.job)
    _, stderr, log, _ = follow_to_the_end(client, slot)
    assert [end["rc"] for end in ends(log).values()] == [127, 126, 127, 126]
    assert [line.rpartition(b": ")[2] for line in stderr.splitlines()] == [
        b"No such file or directory",
        b"Permission denied",
        b"No such file or directory",
        b"Exec format error",
    ]


COMMANDS: dict[str, Callable[[], list[str]]] = {python: partial(plain, python) for python in pythons()}
COMMANDS |= {"without prctl": without_prctl, "with an old glibc": without_sessions_in_spawn}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_tasks_run_in_order_and_end_with_their_slot_under_every_python_there_is(
    slots: Slots, command: Callable[[], list[str]]
) -> None:
    client = slots.stack.enter_context(AgentClient(slots.node.base, command=command()))
    slot = slots.open(client)
    slots.give(client, slot, *((number, f"echo {number}; (setsid sleep 600 &)") for number in range(20)))
    slots.give(client, slot, (20, LASTS))
    (task,) = pids_in(slots.node.base / "pids", 1)
    kill(slots.supervisor_of(slot.job))
    assert gone([task])
    stdout, _, log, ended = follow_to_the_end(client, slot)
    assert stdout.split() == [b"%d" % number for number in range(20)]
    assert len(ends(log)) == 20
    assert ended["end"] == {"kind": "killed", "signal": signal.SIGKILL}
