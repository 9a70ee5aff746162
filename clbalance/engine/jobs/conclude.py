"""Write down what becomes of a job: it goes on, waits again, has ended, or is not started; and its nodes by result."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from clbalance.engine.services import Services
from clbalance.errors import ExitCode, StoreError
from clbalance.model import Plan
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import JobState, NodeFailed, Outcome
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import end_reason, result_sets, run_exit_code, state_of, worst_outcome
from clbalance.policy.jobs.requeue import AfterAttempt, Finished, Requeued, state_after_attempt


def recorded_state_after_attempt(
    services: Services, job: int, outcomes: tuple[Outcome, ...], restart_policy: RestartPolicy | None = None
) -> AfterAttempt:
    """By all that is written down of it. `restart_policy` None: those that it was submitted with."""
    journal = services.journal
    record = journal.record(job)
    if record is None:
        raise StoreError(f"job {job} is not remembered any more")
    if restart_policy is None:
        submitted = journal.submitted(job)
        restart_policy = RestartPolicy() if submitted is None else submitted.restart_policy
    return state_after_attempt(
        record,
        restart_policy,
        outcomes,
        journal.copies(job),
        journal.migration_request_of(job),
        cancelled=journal.is_cancelled(job),
    )


def requeue(services: Services, job: int, reason: str) -> bool:
    """A job that we took from the queue and that has not begun waits there again. False where it does not."""
    try:
        record = services.journal.record(job)
        return record is not None and services.journal.queue(job, attempt=record.attempt, reason=reason)
    except StoreError as error:
        services.listener.store_failed(error.message)
        return True  # it is written down as queued, and is in nobody's hands when we have gone


def cancel_unstarted(services: Services, job: int, reason: str, plan: Plan | None = None) -> None:
    """It will not be started. Where a copy may have been, as when it is stopped twice, it is only let go."""
    code = ExitCode.NOT_RUN_TO_ITS_END
    try:
        withdrawn = services.journal.cancel_unstarted(job, services.clock.now(), reason=reason, rc=code)
    except StoreError as error:
        services.listener.store_failed(error.message)
        return
    if withdrawn:
        keep_results(services, job, (), plan)


def finish_job(
    services: Services,
    job: int,
    attempt: int,
    outcomes: tuple[Outcome, ...],
    plan: Plan | None = None,
    *,
    restart_policy: RestartPolicy | None = None,
) -> str | None:
    """Write down what becomes of a job, once every copy of this attempt has ended; why it is queued, if it is.

    Of one that may still run somewhere nothing is written down.
    """
    worst = worst_outcome(outcomes)
    if worst is None or state_of(worst.end) is JobState.RUNNING:
        return None
    try:
        after = recorded_state_after_attempt(services, job, outcomes, restart_policy)
        if isinstance(after, Requeued):
            if services.journal.queue(job, attempt=attempt, reason=after.reason):
                return after.reason
            after = Finished(state=state_of(worst.end), reason=end_reason(worst), rc=run_exit_code(outcomes))
        at = _ended_at(services, job, outcomes)
        told = services.journal.finish(job, at, attempt=attempt, state=after.state, reason=after.reason, rc=after.rc)
        if not told:
            return None
    except StoreError as error:
        services.listener.store_failed(error.message)
    keep_results(services, job, outcomes, plan)
    return None


def _ended_at(services: Services, job: int, outcomes: tuple[Outcome, ...]) -> datetime:
    """When its last copy ended; by the node's count, for it may be long ago. A node that failed has not counted."""
    now = services.clock.now()
    record = services.journal.record(job)
    if record is None or record.started_at is None or any(isinstance(one.end, NodeFailed) for one in outcomes):
        return now
    return min(now, record.started_at + timedelta(seconds=max(outcome.seconds for outcome in outcomes)))


# Keep what became of a job as node sets, for ClusterShell and for whoever wants to go on with them.


def keep_results(services: Services, job: int, outcomes: Sequence[Outcome], plan: Plan | None = None) -> None:
    """Of the job's last attempt; `plan` where it is at hand, whole. That it could not be kept is no failure."""
    try:
        submitted = services.journal.submitted(job)
        if submitted is None:
            return
        placed = services.journal.placed(job)
        known = plan or (placed[-1].plan if placed else None)
        sets = result_sets(outcomes, submitted.candidates, known)
        services.journal.keep_results(job, {result.value: fold(nodes) for result, nodes in sets.items()})
    except StoreError as error:
        services.listener.store_failed(error.message)
