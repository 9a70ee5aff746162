"""What an end means while a move is meant: nothing that the job did of itself is undone, nothing we did is its failure."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Cause, NodeName, Request
from clbalance.model.job import Checkpoint, Command, JobSpec, RestartPolicy
from clbalance.model.job_record import (
    Cancelled,
    End,
    Exited,
    Killed,
    Lost,
    MigrationRequest,
    MigrationStage,
    NodeFailed,
    NotStarted,
    OutOfMemory,
    TimedOut,
)
from clbalance.policy.jobs.record import is_migratable
from clbalance.policy.jobs.requeue import CHECKPOINTED, MISSED_CHECKPOINT, continues_elsewhere, stop_reason

USR1 = 10
REQUEUE = RestartPolicy(requeue=True)
CHECKPOINT = RestartPolicy(checkpoint=Checkpoint(signal=USR1))
JOB = JobSpec(id=1, key="k", name="n", payload=Command(argv=("x",)), chdir="/", chdir_explicit=False, umask=0)
WHY = st.text(max_size=300)


def order(
    stage: MigrationStage = MigrationStage.COMMITTED, message: str = "", reason: str = "a is over", dst: str = "b"
) -> MigrationRequest:
    return MigrationRequest(attempt=1, dst=NodeName(dst), reason=reason, stage=stage, abort_reason=message)


MOVED = Cancelled(reason=stop_reason(order()))


@pytest.mark.parametrize("restart_policy", [REQUEUE, CHECKPOINT])
@given(reason=WHY)
def test_what_was_stopped_for_the_move_goes_on(restart_policy: RestartPolicy, reason: str) -> None:
    meant = order(reason=reason)
    assert continues_elsewhere(Cancelled(reason=stop_reason(meant)), meant, restart_policy)
    assert continues_elsewhere(Cancelled(reason=stop_reason(meant)), order(dst="c"), restart_policy), (
        "who meant it first may have died"
    )
    assert len(stop_reason(meant)) <= 200, "or its node would cut it"


@pytest.mark.parametrize("end", [Exited(rc=CHECKPOINTED), Exited(rc=128 + USR1), Killed(signal=USR1)])
def test_so_does_what_has_checkpointed_but_only_a_job_that_was_told_to(end: End) -> None:
    assert continues_elsewhere(end, order(), CHECKPOINT)
    assert not continues_elsewhere(end, order(), REQUEUE)


@pytest.mark.parametrize(
    "restart_policy", [REQUEUE, CHECKPOINT, RestartPolicy(requeue=True, checkpoint=Checkpoint(signal=USR1))]
)
@pytest.mark.parametrize(
    "end",
    [
        Exited(rc=0),
        Exited(rc=3),
        Killed(signal=9),
        TimedOut(limit_s=1.0),
        OutOfMemory(limit_bytes=1),
        Cancelled(reason="cancelled by alice"),
        Cancelled(reason="stopped by SIGINT"),
        NotStarted(reason="no"),
        NodeFailed(reason="booted"),
        Lost(cause=Cause.HUNG, reason=""),
    ],
)
def test_any_other_end_is_the_jobs_own(end: End, restart_policy: RestartPolicy) -> None:
    assert not continues_elsewhere(end, order(), restart_policy)


@given(
    stage=st.sampled_from([MigrationStage.REQUESTED, MigrationStage.ABORTED]),
    message=WHY,
    end=st.sampled_from([MOVED, Exited(rc=CHECKPOINTED), Killed(signal=USR1)]),
)
def test_what_was_not_meant_means_nothing(stage: MigrationStage, message: str, end: End) -> None:
    assert not continues_elsewhere(end, order(stage, message), CHECKPOINT)
    assert not continues_elsewhere(end, None, CHECKPOINT)


def test_a_checkpoint_that_comes_late_counts_all_the_same() -> None:
    assert continues_elsewhere(Exited(rc=CHECKPOINTED), order(MigrationStage.ABORTED, MISSED_CHECKPOINT), CHECKPOINT)
    assert not continues_elsewhere(Exited(rc=0), order(MigrationStage.ABORTED, MISSED_CHECKPOINT), CHECKPOINT)
    assert not continues_elsewhere(Exited(rc=CHECKPOINTED), order(MigrationStage.ABORTED, MISSED_CHECKPOINT), REQUEUE)


def test_only_marked_jobs_of_one_copy_may_be_moved() -> None:
    for restart_policy in (REQUEUE, CHECKPOINT):
        assert is_migratable(JOB, Request(), restart_policy)
        assert not is_migratable(JOB, Request(pick=2), restart_policy)
        assert not is_migratable(JOB, Request(pick=None), restart_policy)
    assert not is_migratable(JOB, Request(), RestartPolicy(retry=9, requeue_exits=frozenset({85})))


@pytest.mark.parametrize("pty", [None, (24, 80)])
@pytest.mark.parametrize("slots", [False, True])
def test_terminals_and_slots_stay(pty: tuple[int, int] | None, slots: bool) -> None:
    assert is_migratable(replace(JOB, pty=pty, slots=slots), Request(), REQUEUE) == (pty is None and not slots)
