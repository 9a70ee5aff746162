"""What the ends of its copies make of a job."""

import pytest

from clbalance.model import Cause, NodeName
from clbalance.model.job_record import (
    Cancelled,
    CopyRecord,
    End,
    Exited,
    Intent,
    JobRecord,
    JobState,
    Killed,
    Lost,
    NodeFailed,
    NotStarted,
    Outcome,
    OutOfMemory,
    TimedOut,
)
from clbalance.policy.jobs.outcome import became_of, end_reason, has_failed, reason_of, state_of, worst_outcome
from clbalance.policy.jobs.record import copies_without_outcome, current_copies, half_started, was_abandoned
from tests.store.build import NOON

LOST = Lost(cause=Cause.REFUSED, reason="connection refused")
GRAVER_AND_GRAVER: list[End] = [
    Exited(rc=0),
    Cancelled(reason="c"),
    Exited(rc=1),
    TimedOut(limit_s=60.0),
    OutOfMemory(limit_bytes=1),
    NodeFailed(reason="booted"),
    LOST,
]


def outcome(end: End, rank: int = 0) -> Outcome:
    return Outcome(node=NodeName("a"), rank=rank, end=end, seconds=0.0)


@pytest.mark.parametrize("worst", range(len(GRAVER_AND_GRAVER)))
def test_the_gravest_copy_tells_the_jobs_state(worst: int) -> None:
    message = worst_outcome([outcome(end) for end in reversed(GRAVER_AND_GRAVER[: worst + 1])])
    assert message is not None
    assert message.end == GRAVER_AND_GRAVER[worst]


def test_no_copy_tells_nothing() -> None:
    assert worst_outcome([]) is None


@pytest.mark.parametrize(
    ("end", "state", "reason", "failed"),
    [
        (Exited(rc=0), "COMPLETED", "", False),
        (Exited(rc=3), "FAILED", "", True),
        (Killed(signal=9), "FAILED", "killed by SIGKILL", True),
        (Killed(signal=99), "FAILED", "killed by signal 99", True),
        (NotStarted(reason="no"), "FAILED", "not started: no", True),
        (TimedOut(limit_s=60.0), "TIMEOUT", "time limit of 60 s reached", False),
        (
            OutOfMemory(limit_bytes=2 << 30, used_bytes=5 << 29),
            "OUT_OF_MEMORY",
            "took 2.5 GiB of memory, past its limit of 2 GiB",
            False,
        ),
        (OutOfMemory(limit_bytes=3 << 20), "OUT_OF_MEMORY", "took more memory than its limit of 3 MiB", False),
        (Cancelled(reason="by u"), "CANCELLED", "by u", False),
        (NodeFailed(reason="booted"), "NODE_FAIL", "booted", True),
        (LOST, "RUNNING", LOST.cause.because(LOST.reason), False),
    ],
)
def test_an_end_has_a_state_and_a_reason(end: End, state: str, reason: str, failed: bool) -> None:
    assert (state_of(end), reason_of(end), has_failed(end)) == (state, reason, failed)


def record(state: JobState = JobState.RUNNING, *, attempt: int = 2, controlled: bool = False) -> JobRecord:
    return JobRecord(
        id=1, key="k", name="n", state=state, reason="", rc=None, attempt=attempt, claim=5, nodes=(),
        submitted_at=NOON, started_at=None, ended_at=None, has_controller=controlled,
    )  # fmt: skip


def copy(attempt: int, claim: int, rank: int, end: End | None = None) -> CopyRecord:
    intent = Intent(node=NodeName(f"n{rank}"), rank=rank, boot_id="b", incarnation="c")
    message = None if end is None else outcome(end, rank)
    return CopyRecord(attempt=attempt, claim=claim, intent=intent, outcome=message)


def test_only_what_has_no_end_yet_of_the_last_claim_is_asked_about() -> None:
    old, ended, open_ = copy(1, 3, 0), copy(2, 5, 0, Exited(rc=0)), copy(2, 5, 1)
    copies = (old, ended, open_)
    assert current_copies(record(), copies) == (ended, open_)
    assert copies_without_outcome(record(), copies) == (open_,)
    assert copies_without_outcome(record(JobState.FAILED), copies) == ()
    assert current_copies(record(attempt=3), copies) == ()


def test_a_job_is_abandoned_where_nobody_has_it_in_hand_and_nothing_was_intended() -> None:
    assert was_abandoned(record(), ())
    assert not was_abandoned(record(controlled=True), ())
    assert not was_abandoned(record(JobState.FAILED), ())
    assert not was_abandoned(record(), (copy(2, 5, 0),))


def test_the_rest_of_a_half_started_job_must_end_where_nobody_has_it_in_hand() -> None:
    never, runs = copy(2, 5, 0, NotStarted(reason="no")), copy(2, 5, 1)
    assert half_started(record(), (never, runs)) == "it could not start on n0"
    assert half_started(record(), (runs,)) == ""
    assert half_started(record(controlled=True), (never, runs)) == ""
    assert half_started(record(JobState.FAILED), (never, runs)) == ""


def test_what_its_node_knows_of_a_kill_is_told_too() -> None:
    warned = Outcome(node=NodeName("a"), rank=0, end=Killed(signal=9), seconds=0.0, warnings=("by the kernel",))
    assert end_reason(warned) == "killed by SIGKILL; by the kernel"
    assert end_reason(outcome(Exited(rc=1))) == ""


def test_a_job_that_was_told_to_end_is_never_said_to_run_where_its_nodes_have_proven_its_end() -> None:
    cancelled, done, silent = outcome(Cancelled(reason="c")), outcome(Exited(rc=0), 1), outcome(LOST, 1)
    held = record(controlled=True)
    assert became_of(held, [cancelled], all_ended=True) == "CANCELLED"
    assert became_of(held, [cancelled, done], all_ended=True) == "CANCELLED"
    assert became_of(held, [done], all_ended=True) == "has ended"
    assert became_of(held, [cancelled], all_ended=False) == "is being ended"
    assert became_of(held, [cancelled, silent], all_ended=True) == "is being ended"
    assert became_of(held, [], all_ended=False) == "is being ended"
    assert became_of(record(JobState.FAILED), [cancelled], all_ended=True) == "FAILED"
    assert became_of(record(JobState.PENDING), [], all_ended=False) == "will not be started"
    assert became_of(record(JobState.PENDING), [done], all_ended=True) == "will not be started", "again"
    assert became_of(record(JobState.PENDING), [cancelled], all_ended=True) == "CANCELLED", "its start is written late"
