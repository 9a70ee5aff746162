"""What an end means: over, or waiting; by the journal alone, whoever looks and how often."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import NodeName
from clbalance.model.job import Checkpoint, RestartPolicy
from clbalance.model.job_record import (
    Cancelled,
    CopyRecord,
    End,
    Exited,
    Intent,
    JobRecord,
    JobState,
    Killed,
    MigrationRequest,
    MigrationStage,
    NodeFailed,
    NotStarted,
    Outcome,
    OutOfMemory,
    TimedOut,
)
from clbalance.policy.jobs.requeue import (
    AfterAttempt,
    Finished,
    Requeued,
    nodes_to_exclude,
    state_after_attempt,
    wait_reason,
)
from tests.policy.build import NOW

REBOOTED = NodeFailed(reason="the node was booted again")
VOID = NotStarted(reason="it had not started when the connection was lost")
NO_SUCH = NotStarted(reason="`x`: No such file or directory", rc=127)
BY_US = Cancelled(reason="moved to n7: level")
USR1 = Checkpoint(signal=10)
ONCE, REQUEUE = RestartPolicy(), RestartPolicy(requeue=True)
CHECKPOINT, RETRY = RestartPolicy(checkpoint=USR1), RestartPolicy(retry=1)
MEANT = MigrationRequest(attempt=1, dst=NodeName("n7"), reason="level", stage=MigrationStage.COMMITTED)


def record(attempt: int = 1, *, queued: bool = False) -> JobRecord:
    return JobRecord(
        id=1,
        key="k",
        name="train",
        state=JobState.PENDING,
        reason="",
        rc=None,
        attempt=attempt,
        claim=1,
        nodes=(NodeName("n1"),),
        submitted_at=NOW,
        started_at=None,
        ended_at=None,
        has_controller=False,
        queued=queued,
    )


def outcome(end: End, node: str = "n1", rank: int = 0) -> Outcome:
    return Outcome(node=NodeName(node), rank=rank, end=end, seconds=1.0)


def copies(*ends: End) -> list[CopyRecord]:
    """One attempt after the other, each on a node of its own."""
    return [
        CopyRecord(
            attempt=number,
            claim=number,
            intent=Intent(node=NodeName(f"n{number}"), rank=0, boot_id="b", incarnation="c"),
            outcome=outcome(end, f"n{number}"),
        )
        for number, end in enumerate(ends, 1)
    ]


def after(
    *ends: End,
    restart_policy: RestartPolicy = ONCE,
    move: MigrationRequest | None = None,
    queued: bool = False,
    cancelled: bool = False,
) -> AfterAttempt:
    """What the last of these attempts means."""
    made = copies(*ends)
    last = outcome(ends[-1], f"n{len(ends)}")
    return state_after_attempt(
        record(len(ends), queued=queued), restart_policy, (last,), made, move, cancelled=cancelled
    )


def state(message: AfterAttempt) -> str:
    return "waits" if isinstance(message, Requeued) else message.state.value


@pytest.mark.parametrize(
    ("end", "restart_policy", "expected"),
    [
        (Exited(rc=0), RestartPolicy(requeue=True, retry=3, queue=True), "COMPLETED"),
        (REBOOTED, REQUEUE, "waits"),
        (REBOOTED, ONCE, "NODE_FAIL"),
        (REBOOTED, RestartPolicy(queue=True), "NODE_FAIL"),
        (Exited(rc=85), RestartPolicy(requeue_exits=frozenset({85})), "waits"),
        (Exited(rc=85), ONCE, "FAILED"),
        (Exited(rc=3), RETRY, "waits"),
        (Killed(signal=9), RETRY, "waits"),
        (TimedOut(limit_s=1.0), RETRY, "TIMEOUT"),
        (OutOfMemory(limit_bytes=1), RETRY, "OUT_OF_MEMORY"),
        (BY_US, RestartPolicy(requeue=True, retry=3), "CANCELLED"),
        (VOID, REQUEUE, "FAILED"),
    ],
)
def test_a_job_that_may_run_again_waits(end: End, restart_policy: RestartPolicy, expected: str) -> None:
    assert state(after(end, restart_policy=restart_policy)) == expected


def test_why_it_waits_is_told() -> None:
    assert after(REBOOTED, restart_policy=REQUEUE) == Requeued(
        reason="node failure of n1; waits for `clbalance rebalance`"
    )
    assert after(BY_US, move=MEANT) == Requeued(reason="was being moved to n7; waits for `clbalance rebalance`")


@pytest.mark.parametrize(
    ("end", "restart_policy", "expected"),
    [
        (Exited(rc=0), REQUEUE, "COMPLETED"),
        (Exited(rc=85), CHECKPOINT, "waits"),
        (BY_US, REQUEUE, "waits"),
        (Killed(signal=10), CHECKPOINT, "waits"),
        (Exited(rc=138), CHECKPOINT, "waits"),
        (Killed(signal=10), REQUEUE, "FAILED"),
        (Killed(signal=11), CHECKPOINT, "FAILED"),
        (VOID, REQUEUE, "waits"),
        (Exited(rc=3), CHECKPOINT, "FAILED"),
        (TimedOut(limit_s=1.0), CHECKPOINT, "TIMEOUT"),
        (REBOOTED, REQUEUE, "waits"),
        (REBOOTED, CHECKPOINT, "NODE_FAIL"),
    ],
)
def test_what_an_end_means_while_a_move_is_meant(end: End, restart_policy: RestartPolicy, expected: str) -> None:
    assert state(after(end, restart_policy=restart_policy, move=MEANT)) == expected
    for other in (
        replace(MEANT, stage=MigrationStage.REQUESTED),
        replace(MEANT, stage=MigrationStage.ABORTED),
        replace(MEANT, attempt=2),
    ):
        assert after(end, restart_policy=restart_policy, move=other) == after(end, restart_policy=restart_policy)


def test_a_queued_job_that_never_started_waits_but_not_one_that_cannot_be_executed() -> None:
    assert state(after(VOID, queued=True)) == "waits"
    assert after(NO_SUCH, queued=True) == Finished(
        state=JobState.FAILED, reason="not started: `x`: No such file or directory", rc=127
    )


def test_of_a_later_attempt_that_never_started_nothing_is_lost() -> None:
    assert state(after(BY_US, VOID, restart_policy=REQUEUE)) == "waits"
    assert state(after(Exited(rc=1), VOID)) == "FAILED", "somebody has requeued it by hand"


def test_a_copy_that_was_ended_as_another_never_started_is_no_start() -> None:
    ends = (outcome(VOID), outcome(Cancelled(reason="it could not start on n1"), "n2", 1))
    message = state_after_attempt(record(queued=True), ONCE, ends, (), None, cancelled=False)
    assert state(message) == "waits"
    ran = (outcome(VOID), outcome(Exited(rc=0), "n2", 1))
    assert state(state_after_attempt(record(queued=True), ONCE, ran, (), None, cancelled=False)) == "FAILED"


@pytest.mark.parametrize("end", [REBOOTED, Exited(rc=85), BY_US, VOID, Exited(rc=3)])
def test_a_job_that_its_user_has_cancelled_is_over(end: End) -> None:
    restart_policy = RestartPolicy(requeue=True, retry=9, requeue_exits=frozenset({85}), checkpoint=USR1)
    assert isinstance(after(end, restart_policy=restart_policy, move=MEANT, queued=True, cancelled=True), Finished)
    assert state(after(VOID, queued=True, cancelled=True)) == "CANCELLED"
    assert state(after(VOID, cancelled=True)) == "CANCELLED"


def test_failures_are_counted_from_what_went_before() -> None:
    assert state(after(Exited(rc=1), Exited(rc=1), restart_policy=RETRY)) == "FAILED"
    assert state(after(REBOOTED, Exited(rc=1), restart_policy=RestartPolicy(retry=1, requeue=True))) == "waits"
    assert state(after(VOID, Exited(rc=1), restart_policy=RETRY)) == "waits", (
        "a start that came to nothing is no failure"
    )
    moved = RestartPolicy(retry=1, checkpoint=USR1)
    assert state(after(Exited(rc=85), Killed(signal=10), Exited(rc=1), restart_policy=moved)) == "waits"
    assert state(after(*[REBOOTED] * 5, restart_policy=REQUEUE)) == "waits"
    assert state(after(*[REBOOTED] * 6, restart_policy=REQUEUE)) == "NODE_FAIL", (
        "it is not fed every node of the cluster"
    )


ENDS = st.sampled_from([Exited(rc=0), Exited(rc=3), Exited(rc=85), Killed(signal=10), REBOOTED, VOID, NO_SUCH, BY_US])


@given(st.lists(ENDS, min_size=1, max_size=12), st.booleans(), st.integers(0, 3), st.booleans())
def test_a_job_that_fails_for_ever_comes_to_an_end(ends: list[End], requeue: bool, retry: int, queued: bool) -> None:
    """Only starts that came to nothing, and what the job itself asked for, may go on without end."""
    restart_policy = RestartPolicy(requeue=requeue, retry=retry)
    message = after(*ends, restart_policy=restart_policy, queued=queued)
    failed = sum(isinstance(end, Exited | Killed) and end != Exited(rc=0) for end in ends)
    if failed > retry and isinstance(ends[-1], Exited | Killed):
        assert isinstance(message, Finished)
    if isinstance(message, Finished):
        assert message.state.is_over


def test_it_is_not_started_again_where_it_failed_or_was_moved_from_and_each_is_told_apart() -> None:
    restart_policy = RestartPolicy(requeue=True, checkpoint=USR1)
    by_another = Cancelled(reason="it could not start on n9")
    made = copies(REBOOTED, Exited(rc=3), VOID, BY_US, Exited(rc=85), Exited(rc=0), by_another)
    assert nodes_to_exclude(restart_policy, made) == {
        NodeName("n1"): "the node failed under it",
        NodeName("n2"): "it failed there",
        NodeName("n3"): "it could not start there",
        NodeName("n4"): "it was moved away from there",
        NodeName("n7"): "it was ended there",
    }


def test_rebalance_itself_does_not_tell_that_a_job_waits_for_it() -> None:
    waits = after(REBOOTED, restart_policy=REQUEUE)
    assert isinstance(waits, Requeued)
    assert wait_reason(waits.reason) == "node failure of n1"
    assert wait_reason("0/1 nodes fit: 1 drained") == "0/1 nodes fit: 1 drained"
