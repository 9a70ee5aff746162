"""The next state of a job whose attempt ended: over or requeued, and the nodes to avoid. Pure.

Input: the job's record, its restart policy, the outcomes of all copies of all attempts, and a requested migration.
Earlier failures are counted from these, so the result does not depend on which process decides, nor how often
(docs/design/rebalance.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import (
    Cancelled,
    CopyRecord,
    End,
    Exited,
    JobRecord,
    JobState,
    Killed,
    MigrationRequest,
    MigrationStage,
    NodeFailed,
    NotStarted,
    Outcome,
)
from clbalance.policy.jobs.outcome import end_reason, has_failed, reason_of, run_exit_code, state_of, worst_outcome

_FOR: Final = "waits for `clbalance rebalance`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The job is over."""

    state: JobState
    reason: str
    rc: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """The job is pending again, for `reason`."""

    reason: str


AfterAttempt: TypeAlias = Finished | Requeued


def state_after_attempt(
    record: JobRecord,
    restart_policy: RestartPolicy,
    outcomes: tuple[Outcome, ...],
    copies: Sequence[CopyRecord],
    move: MigrationRequest | None,
    *,
    cancelled: bool,
) -> AfterAttempt:
    """The next state. `outcomes`: of all copies of the current attempt, at least one. `cancelled`: by its user.

    `copies` are those of all attempts; failures of earlier attempts are counted from them.
    """
    over = _over(outcomes)
    never = never_started(outcomes)
    if cancelled:
        return replace(over, state=JobState.CANCELLED, reason="cancelled") if never else over
    if (
        move is not None
        and move.attempt == record.attempt
        and _was_ended_by_migration(outcomes, move, restart_policy, never=bool(never))
    ):
        return Requeued(reason=f"was being moved to {move.dst}; {_FOR}")
    failures, node_failures = failed_before(record, restart_policy, copies)
    once_more = next_retry(restart_policy, outcomes, failures=failures, node_failures=node_failures)
    if once_more is not None:
        return Requeued(reason=f"{once_more.reason}; {_FOR}")
    if never and (record.queued or (record.attempt > 1 and _may_run_again(restart_policy))):
        return Requeued(reason=f"{never}; {_FOR}")
    return over


def wait_reason(reason: str) -> str:
    """The reason without "waits for `clbalance rebalance`", for `rebalance` itself."""
    return reason.removesuffix(f"; {_FOR}")


def never_started(outcomes: Sequence[Outcome]) -> str:
    """Why no copy started, through no fault of the job; empty if one started, or the job cannot be executed."""
    void = [one for one in outcomes if isinstance(one.end, NotStarted)]
    others = [one for one in outcomes if not isinstance(one.end, NotStarted | Cancelled)]
    if others or not void or any(isinstance(one.end, NotStarted) and one.end.rc is not None for one in void):
        return ""
    return f"{reason_of(void[0].end)} on {void[0].node}"


def nodes_to_exclude(restart_policy: RestartPolicy, copies: Sequence[CopyRecord]) -> Mapping[NodeName, str]:
    """Nodes to avoid while others fit, with the reason: it failed there, or was migrated away, for example."""
    return {
        copy.intent.node: exclude_reason(one.end)
        for copy in copies
        if (one := copy.outcome) is not None
        and (isinstance(one.end, Cancelled) or (has_failed(one.end) and not _asked_to_restart(one, restart_policy)))
    }


def _over(outcomes: tuple[Outcome, ...]) -> Finished:
    worst = worst_outcome(outcomes)
    assert worst is not None, "asked of a job without copies"
    return Finished(state=state_of(worst.end), reason=end_reason(worst), rc=run_exit_code(outcomes))


def _was_ended_by_migration(
    outcomes: Sequence[Outcome], move: MigrationRequest, restart_policy: RestartPolicy, *, never: bool
) -> bool:
    """Whether the attempt ended because of the migration; an attempt that never started counts too."""
    if never:
        return move.stage is MigrationStage.COMMITTED
    return all(continues_elsewhere(one.end, move, restart_policy) for one in outcomes)


def failed_before(record: JobRecord, restart_policy: RestartPolicy, copies: Sequence[CopyRecord]) -> tuple[int, int]:
    """How many earlier attempts failed, and how many ended with their node; attempts that never started are neither."""
    attempts: dict[int, list[Outcome]] = {}
    for copy in copies:
        if copy.attempt < record.attempt and copy.outcome is not None:
            attempts.setdefault(copy.attempt, []).append(copy.outcome)
    failures = node_failures = 0
    for outcomes in attempts.values():
        states = {state_of(one.end) for one in outcomes if not _asked_to_restart(one, restart_policy)}
        node_failures += any(isinstance(one.end, NodeFailed) for one in outcomes)
        failures += JobState.FAILED in states and not never_started(outcomes)
    return failures, node_failures


def _asked_to_restart(outcome: Outcome, restart_policy: RestartPolicy) -> bool:
    """Whether the job itself asked to be started again, by its exit; that is no failure."""
    end = outcome.end
    return (isinstance(end, Exited) and end.rc in restart_policy.requeue_exits) or _has_checkpointed(
        end, restart_policy
    )


def _may_run_again(restart_policy: RestartPolicy) -> bool:
    return bool(
        restart_policy.requeue
        or restart_policy.requeue_exits
        or restart_policy.retry
        or restart_policy.checkpoint
        or restart_policy.queue
    )


# -- retries: whether an ended job is started once more, and the nodes to avoid

MOST_NODE_FAILURES = 5
"""Limit of restarts after node failures, so that a job that crashes nodes does not crash them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Start it again, because of `reason`; preferably not on `excluded_nodes`, which gives a reason for each node."""

    reason: str
    excluded_nodes: Mapping[NodeName, str]


def next_retry(
    restart_policy: RestartPolicy, outcomes: tuple[Outcome, ...], *, failures: int, node_failures: int
) -> Retry | None:
    """The next start, or None. `failures` and `node_failures`: how many earlier attempts ended so.

    Cancelled and timed out jobs are not started again, and no job is while one of its copies may still run.
    """
    states = {state_of(outcome.end) for outcome in outcomes}
    if JobState.RUNNING in states or not outcomes:
        return None
    if gone := {one.node: exclude_reason(one.end) for one in outcomes if isinstance(one.end, NodeFailed)}:
        if restart_policy.requeue and node_failures < MOST_NODE_FAILURES:
            return Retry(reason=f"node failure of {', '.join(sorted(gone))}", excluded_nodes=gone)
        return None
    if (
        asked := {end.rc for end in (one.end for one in outcomes) if isinstance(end, Exited)}
        & restart_policy.requeue_exits
    ):
        return Retry(reason=f"exit code {max(asked)}", excluded_nodes={})
    if states <= {JobState.FAILED, JobState.CANCELLED, JobState.COMPLETED} and JobState.FAILED in states:
        failed = {one.node: exclude_reason(one.end) for one in outcomes if state_of(one.end) is JobState.FAILED}
        if failures < restart_policy.retry:
            return Retry(reason=f"a failure on {', '.join(sorted(failed))}", excluded_nodes=failed)
    return None


# -- the end of an attempt during its migration (docs/design/rebalance.md)

CHECKPOINTED = 85
"""HTCondor's code for "I have checkpointed, start me again"."""
MISSED_CHECKPOINT = "it did not checkpoint in time"
"""The reason of an aborted migration whose signal has reached the job; a late checkpoint still counts."""

_MOVED = "moved to "
_WHY_CHARS = 200  # length to which a node cuts the reason for an end


def stop_reason(order: MigrationRequest) -> str:
    """The reason that we send to the node, and that the node gives back as the reason of the end."""
    return f"{_MOVED}{order.dst}: {order.reason}"[:_WHY_CHARS]


def was_migrated(reason: str) -> bool:
    """Whether a copy was ended for a migration, by the reason from its node."""
    return reason.startswith(_MOVED)


def continues_elsewhere(end: End, order: MigrationRequest | None, restart_policy: RestartPolicy) -> bool:
    """Whether a job that ended so is started elsewhere, because of a migration of just that attempt.

    Exit 0 means that the job is done; any other end that we did not cause is its own failure.
    """
    if order is None:
        return False
    if order.stage is MigrationStage.ABORTED:
        return (
            restart_policy.checkpoint is not None
            and order.abort_reason == MISSED_CHECKPOINT
            and end == Exited(rc=CHECKPOINTED)
        )
    return order.stage is MigrationStage.COMMITTED and _was_ended_by_us(end, restart_policy)


def _was_ended_by_us(end: End, restart_policy: RestartPolicy) -> bool:
    if isinstance(end, Cancelled):
        return was_migrated(end.reason)  # perhaps to another node, by a process that has died since
    return _has_checkpointed(end, restart_policy)


def _has_checkpointed(end: End, restart_policy: RestartPolicy) -> bool:
    """Whether a job that was told to checkpoint ended for that: by exit code 85, or by the signal."""
    if restart_policy.checkpoint is None:
        return False
    number = restart_policy.checkpoint.signal
    return end in (Exited(rc=CHECKPOINTED), Killed(signal=number), Exited(rc=128 + number))


# -- why a node is avoided, in the words of `explain`

MIGRATED_AWAY = "it was moved away from there"


def exclude_reason(end: End) -> str:
    """Why to avoid a node where an attempt ended so."""
    match end:
        case NodeFailed():
            return "the node failed under it"
        case NotStarted():
            return "it could not start there"
        case Cancelled(reason=reason):
            return MIGRATED_AWAY if was_migrated(reason) else "it was ended there"
        case _:
            return "it failed there"
