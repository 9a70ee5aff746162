"""Record a job's next state (running, queued again, ended, never started), and its nodes by result."""

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
    """The next state of a job, by its records. `restart_policy` None: the one that it was submitted with.

    `StoreError` if the job is not remembered or cannot be read.
    """
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
    """Put a job that has not begun back into the queue. False if the journal refuses."""
    try:
        record = services.journal.record(job)
        return record is not None and services.journal.queue(job, attempt=record.attempt, reason=reason)
    except StoreError as error:
        services.listener.store_failed(error.message)
        return True  # the journal still says queued, and it has no controller when we have gone


def release(services: Services, job: int) -> None:
    """Give up control of a job. If that cannot be written, it is given up when this process ends."""
    with services.without_store():
        services.journal.release(job)


def cancel_unstarted(services: Services, job: int, reason: str, plan: Plan | None = None) -> None:
    """Record that a job will not be started. If a copy may have been started, the job is only released."""
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
    """Record the next state of a job once every copy of this attempt has ended. If it is queued again, return why.

    Nothing is recorded while a copy may still run.
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
        written = services.journal.finish(job, at, attempt=attempt, state=after.state, reason=after.reason, rc=after.rc)
        if not written:
            return None
    except StoreError as error:
        services.listener.store_failed(error.message)
    keep_results(services, job, outcomes, plan)
    return None


def _ended_at(services: Services, job: int, outcomes: tuple[Outcome, ...]) -> datetime:
    """When its last copy ended: the node counted the seconds, and it may be long ago. Now, if a node failed."""
    now = services.clock.now()
    record = services.journal.record(job)
    if record is None or record.started_at is None or any(isinstance(one.end, NodeFailed) for one in outcomes):
        return now
    return min(now, record.started_at + timedelta(seconds=max(outcome.seconds for outcome in outcomes)))


# Keep the nodes of a job by result, as node sets for ClusterShell and other programs.


def keep_results(services: Services, job: int, outcomes: Sequence[Outcome], plan: Plan | None = None) -> None:
    """Store the node sets of the job's last attempt. `plan`: the full plan, if at hand. A failure only warns."""
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
