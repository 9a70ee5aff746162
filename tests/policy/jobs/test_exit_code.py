"""`run` exits with the job's own code, and with no code of its own where the job has one."""

from signal import SIGINT

import pytest

from clbalance.model import Cause, NodeName
from clbalance.model.job_record import (
    Cancelled,
    End,
    Exited,
    Killed,
    Lost,
    NodeFailed,
    NotStarted,
    Outcome,
    OutOfMemory,
    TimedOut,
)
from clbalance.policy.jobs.outcome import code_of, run_exit_code


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (Exited(rc=7), 7),
        (Exited(rc=255), 255),
        (Killed(signal=15), 143),
        (TimedOut(limit_s=1.0), 124),
        (OutOfMemory(limit_bytes=1), 137),
        (NotStarted(reason="no such file", rc=127), 127),
        (NotStarted(reason="refused"), 125),
        (Cancelled(reason="by u"), 125),
        (NodeFailed(reason="booted"), 125),
        (Lost(cause=Cause.LOST, reason=""), 125),
    ],
)
def test_each_end_has_its_code(end: End, code: int) -> None:
    assert code_of(end) == code


def test_of_several_copies_the_highest_counts() -> None:
    ends = [Exited(rc=1), Exited(rc=3), Exited(rc=0)]
    outcomes = [Outcome(node=NodeName("a"), rank=rank, end=end, seconds=0.0) for rank, end in enumerate(ends)]
    assert run_exit_code(outcomes) == 3
    assert run_exit_code([]) == 125


def test_who_is_told_to_stop_exits_as_shells_do() -> None:
    assert run_exit_code([], SIGINT) == 130
