"""Record a job's next state (running, queued again, ended, never started), and its nodes by result."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from clbalance.engine.services import Services
from clbalance.errors import ExitCode, StoreError
from clbalance.model import NodeName, Plan
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import JobRecord, JobState, NodeFailed, Outcome
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import Result, end_reason, result_sets, run_exit_code, state_of, worst_outcome
from clbalance.policy.jobs.record import gives_up_at
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
        raise StoreError(f"job {job} is no longer in the state database")
    if restart_policy is None:
        submitted = journal.submitted(job)
        restart_policy = RestartPolicy() if submitted is None else submitted.restart_policy
    return state_after_attempt(
        record,
        restart_policy,
        outcomes,
        journal.copies(job),
        journal.migration_request_of(job),
        cancelled=bool(record.cancel_requested),
    )


def requeue(services: Services, job: int, reason: str) -> bool:
    """Put a job that has not begun back into the queue. False if the journal refuses."""
    try:
        record = services.journal.record(job)
        return record is not None and services.journal.queue(job, attempt=record.attempt, reason=reason)
    except StoreError as error:
        services.listener.store_failed(error.message)
        return True  # the journal still says queued, and it has no controller when we have gone


def accept(services: Services, job: int) -> None:
    """Before its number is told: the job is never dropped from now on. It runs already, so an error is no matter."""
    with services.without_store():
        services.journal.accept(job)


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
        notify_end(services, job)


def refuse(services: Services, candidates: Sequence[NodeName], plan: Plan) -> None:
    """Record that a call was refused before it had a number, for `explain last` and the groups of results."""
    try:
        services.journal.keep_refusal(plan)
        services.journal.keep_results(None, _folded(result_sets((), candidates, plan)))
    except StoreError as error:
        services.listener.store_failed(error.message)


def seconds_left(services: Services, record: JobRecord, restart_policy: RestartPolicy) -> float:
    """How long an accepted job may go on waiting for its first start; infinite if as long as it takes."""
    before = [services.journal.record(job) for job in restart_policy.after]
    until = gives_up_at(record, restart_policy, before)
    return math.inf if until is None else (until - services.clock.now()).total_seconds()


def cancel_if_too_late(services: Services, record: JobRecord) -> None:
    """Record the end of a queued job that has waited as long as its `--queue-for` allows."""
    submitted = services.journal.submitted(record.id)
    if submitted is not None and seconds_left(services, record, submitted.restart_policy) <= 0:
        cancel_unstarted(services, record.id, too_late(record.reason))


def too_late(reason: str) -> str:
    """The reason of a job that has waited as long as its `--queue-for` allows. `reason`: why it waited."""
    return f"{reason} for as long as `--queue-for` allows"


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
        return None
    keep_results(services, job, outcomes, plan)
    notify_end(services, job)
    return None


def notify_end(services: Services, job: int) -> None:
    """Run the command of `--notify`, and tell plug-ins. Call it where the end was recorded: only one process can do
    that, and once.
    """
    try:
        submitted, record = services.journal.submitted(job), services.journal.record(job)
    except StoreError as error:
        services.listener.store_failed(error.message)
        return
    if record is None:
        return
    if submitted is not None and submitted.notify is not None:
        services.notify(submitted.notify, record)
    services.job_ended(record)


def _ended_at(services: Services, job: int, outcomes: tuple[Outcome, ...]) -> datetime:
    """When its last copy ended: the node counted the seconds, and it may be long ago. Now, if a node failed.

    If that is yet to come, our clock was set back, or the start was recorded late: the start is corrected.
    """
    now = services.clock.now()
    record = services.journal.record(job)
    if record is None or record.started_at is None or any(isinstance(one.end, NodeFailed) for one in outcomes):
        return now
    lasted = timedelta(seconds=max(outcome.seconds for outcome in outcomes))
    if record.started_at + lasted > now:
        services.journal.correct_start(job, now - lasted)
    return min(now, record.started_at + lasted)


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
        services.journal.keep_results(job, _folded(sets))
    except StoreError as error:
        services.listener.store_failed(error.message)


def _folded(sets: Mapping[Result, Sequence[NodeName]]) -> dict[str, str]:
    return {result.value: fold(nodes) for result, nodes in sets.items()}
