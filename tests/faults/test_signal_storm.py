"""INT, TERM, HUP and KILL at random points of whole calls: the client goes at once, and nothing stays behind.

But for the job itself where it runs and its client was hung up on or killed: that one is let go, and can be cancelled.

Few points by default; CLBALANCE_SOAK=50 tries 50 of each signal.
"""

import random
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.spec import LabSpec
from tests.conftest import bring_up
from tests.waiting import SOON_S, eventually

from .soak import trials
from .traces import CLIENT, JOB, comes_true, command_lines, marked

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SWEPT = 16
_SWEEP_LASTS_S = 0.8
_RUN_LASTS_S = 1.2  # to well after the job's start; by itself it would not end

# Survivors by habit: one that ignores TERM, one in a session of its own, one whose parent is gone as well.
_STUBBORN = """\
(trap '' TERM; while :; do sleep 60; done) &
setsid sleep 300 &
(setsid sh -c '(trap "" TERM HUP; sleep 300 & wait) &' &)
sleep 300
"""
_STUBBORN_PROCESSES = 12  # six on each of two nodes


@dataclass(frozen=True, slots=True)
class Call:
    """A running clbalance and what it has said on stderr; `mark` is in its environment and that of its ssh."""

    mark: str
    child: "subprocess.Popen[bytes]"
    errors: Path

    def hit(self, number: signal.Signals, after_s: float) -> None:
        """Let it work for `after_s`, then signal it. It is gone in time, without a traceback and without an ssh."""
        when = f"{number.name} at {after_s:.3f} s"
        try:
            self.child.wait(after_s)
        except subprocess.TimeoutExpired:
            self.child.send_signal(number)
        try:
            self.child.wait(SOON_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{when}: still there {SOON_S:g} s later")
        said = self.errors.read_text(errors="replace")
        assert "Traceback" not in said or _is_the_interpreters_own(said), f"{when}: {said}"

    def leaves_no_ssh(self) -> None:
        gone = comes_true(lambda: not marked(CLIENT, self.mark), SOON_S)
        assert gone, command_lines(marked(CLIENT, self.mark))

    def leaves_no_job(self) -> None:
        gone = comes_true(lambda: not marked(JOB, self.mark), SOON_S)
        assert gone, command_lines(marked(JOB, self.mark))


def _is_the_interpreters_own(said: str) -> bool:
    """SIGINT before a line of ours has run: Python's start-up files answer it with a traceback."""
    return "KeyboardInterrupt" in said and "clbalance/" not in said


@pytest.fixture
def calls(tmp_path: Path) -> Iterator["Calls"]:
    made = Calls(tmp_path / "stderr", [])
    yield made
    for child in made.children:
        if child.poll() is None:
            child.kill()
        child.wait()


@dataclass(frozen=True, slots=True)
class Calls:
    """Starts calls, and knows them until the test ends."""

    errors: Path
    children: list["subprocess.Popen[bytes]"]

    def start(self, env: dict[str, str], *arguments: str) -> Call:
        mark = secrets.token_hex(8)
        with self.errors.open("wb") as errors:
            child = subprocess.Popen(
                [sys.executable, "-m", "clbalance", *(word.replace("MARK", mark) for word in arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**env, CLIENT: mark},
            )
        self.children.append(child)
        return Call(mark=mark, child=child, errors=self.errors)


def _points(count: int, lasts_s: float) -> list[float]:
    """One in each of `count` equal parts of the duration: random, and none left out by chance."""
    return [random.uniform(part, part + 1) * lasts_s / count for part in range(count)]


@pytest.fixture(scope="module")
def storm_lab(openssh: None) -> Iterator[Lab]:
    with ExitStack() as stack:
        yield bring_up(stack, LabSpec(nodes=_SWEPT, tied=True))


@pytest.mark.parametrize("number", _STOPPING, ids=lambda number: number.name)
def test_a_stopped_sweep_is_gone_at_once_and_leaves_no_ssh(
    number: signal.Signals, storm_lab: Lab, lab_env: dict[str, str], calls: Calls
) -> None:
    env = {**lab_env, **storm_lab.environment(lab_env)}
    for after_s in _points(trials(few=3, full=50), _SWEEP_LASTS_S):
        call = calls.start(env, "load", "-w", f"node[1-{_SWEPT}]")
        call.hit(number, after_s)
        call.leaves_no_ssh()  # what was killed last may still be exiting


@pytest.mark.parametrize("number", _STOPPING, ids=lambda number: number.name)
def test_a_stopped_run_is_gone_at_once_and_its_whole_job_with_it(
    number: signal.Signals, lab_env: dict[str, str], calls: Calls
) -> None:
    for after_s in _points(trials(few=3, full=50), _RUN_LASTS_S):
        call = _start_stubborn_job(calls, lab_env)
        call.hit(number, after_s)
        call.leaves_no_ssh()
        if number is signal.SIGHUP:
            _cancel_all(lab_env)
        call.leaves_no_job()


def test_what_a_killed_client_has_started_or_not_is_gone_once_it_is_cancelled(
    lab_env: dict[str, str], calls: Calls
) -> None:
    for after_s in _points(trials(few=3, full=50), _RUN_LASTS_S):
        call = _start_stubborn_job(calls, lab_env)
        call.hit(signal.SIGKILL, after_s)
        _cancel_all(lab_env)
        call.leaves_no_job()
        # A probe that nobody reads any more holds its ssh until its own deadline of two seconds.
        call.leaves_no_ssh()


@pytest.mark.parametrize("number", [*_STOPPING, signal.SIGKILL], ids=lambda number: number.name)
def test_a_job_in_full_flight_ends_with_its_run_or_when_it_is_cancelled(
    number: signal.Signals, lab_env: dict[str, str], calls: Calls
) -> None:
    call = _start_stubborn_job(calls, lab_env)
    eventually(lambda: len(marked(JOB, call.mark)) >= _STUBBORN_PROCESSES)
    # Its processes run before `run` has heard of that; until then a hangup ends it as one that was not started.
    eventually(lambda: _runs(lab_env))
    call.hit(number, after_s=0)
    if number in {signal.SIGHUP, signal.SIGKILL}:
        assert len(marked(JOB, call.mark)) >= _STUBBORN_PROCESSES
        _cancel_all(lab_env)
    call.leaves_no_job()
    call.leaves_no_ssh()


def _runs(env: dict[str, str]) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "clbalance", "jobs", "--json"], env=env, check=True, capture_output=True
    )
    return b'"RUNNING"' in done.stdout


def _cancel_all(env: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-m", "clbalance", "cancel", "--all"], env=env, check=False)
    assert done.returncode == 0


def _start_stubborn_job(calls: Calls, env: dict[str, str]) -> Call:
    return calls.start(env, "run", "-w", "node[1-2]", "--pick", "2", "--env", f"{JOB}=MARK", "-c", _STUBBORN)
