"""All of `run --tasks`: wait for dependencies and for room, run every task, and record how the job ended."""

from dataclasses import replace

from clbalance.engine.jobs.conclude import cancel_unstarted, requeue, seconds_left, too_late
from clbalance.engine.jobs.wait import (
    PlacementWait,
    as_updated,
    wait_for_dependencies,
    wait_until_eligible,
    was_held,
)
from clbalance.engine.tasks.task_run import TaskRun
from clbalance.engine.tasks.values import TaskRunContext, TaskRunResult
from clbalance.errors import Interrupted, StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan, Snapshot
from clbalance.model.task import TaskRecord
from clbalance.policy.jobs.task_records import TaskJobOutcome
from clbalance.policy.placement.explain import unfit_summary
from clbalance.units import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskJobResult:
    """The record of every task, and the outcome of the job."""

    result: TaskRunResult
    records: tuple[TaskRecord, ...]
    job_outcome: TaskJobOutcome


def run_tasks(context: TaskRunContext) -> TaskJobResult | Plan:
    """Run a task job. Returns the last plan if no slot fitted anywhere for as long as the job may wait."""
    services, number = context.services, context.job.id
    try:
        wait_for_dependencies(
            services, number, context.restart_policy, context.listener.waiting, accepted=context.accepted
        )
        result = _wait_for_place(context) if context.tasks else _nothing_to_run(context)
    except Interrupted as stop:
        _withdraw(context, f"stopped by signal {stop.signum}")
        raise
    except BrokenPipeError:
        _withdraw(context, "its output was not read any more")
        raise
    if isinstance(result, Plan):
        reason = unfit_summary(result, len(context.query.candidates))
        if context.accepted:  # else it would still be waiting
            cancel_unstarted(services, number, too_late(reason))
        else:
            _withdraw(context, reason)
        return result
    goes_on = result.left_running or (context.accepted and result.interrupted is not None)
    if context.queued and not (goes_on or result.cancelled):
        goes_on = _is_queued_for_the_rest(context, result.reason)
    from clbalance.engine.jobs.conclude_tasks import finish_task_job  # deferred import: docs/design/startup.md

    records, outcome = finish_task_job(
        services,
        number,
        _recorded_attempt(context, result),
        result.reason,
        run_now=context.tasks,
        cancelled=result.cancelled,
        release=goes_on,
    )
    return TaskJobResult(result=result, records=records, job_outcome=outcome)


def _withdraw(context: TaskRunContext, reason: str) -> None:
    """Record that no slot was started: a job that was accepted is queued."""
    services, number = context.services, context.job.id
    if not (context.queued and requeue(services, number, reason)):
        cancel_unstarted(services, number, reason)


def _is_queued_for_the_rest(context: TaskRunContext, reason: str) -> bool:
    """Whether an accepted job has tasks that were not started. It is queued for them, unless a slot may still run."""
    from clbalance.engine.jobs.conclude_tasks import tasks_left  # deferred import: docs/design/startup.md

    services, number = context.services, context.job.id
    try:
        left = tasks_left(services, number)
    except StoreError as error:
        services.listener.store_failed(error.message)
        return True  # who can read the journal decides
    if left:
        requeue(services, number, f"{reason}; {counted(left, 'task')} left")
    return left > 0


def _recorded_attempt(context: TaskRunContext, result: TaskRunResult) -> int:
    """The attempt that the journal knows: a new one begins with the launch of its first slot."""
    services, record = context.services, None
    if not result.slots:
        with services.without_store():
            record = services.journal.record(context.job.id)
    return context.job.attempt if record is None else record.attempt


def _nothing_to_run(context: TaskRunContext) -> TaskRunResult:
    """Of a job whose tasks have all ended: its controller has died before it recorded the end."""
    nothing = Snapshot(taken_at=context.services.clock.now(), answers=())
    plan = Plan(wanted=context.query.request.pick, chosen=(), ranked=(), unfit=(), charged=nothing)
    return TaskRunResult(plan=plan, slots=0, reason="")


def _wait_for_place(context: TaskRunContext) -> TaskRunResult | Plan:
    services, job = context.services, context.job
    wait = PlacementWait(services, _may_wait_s(context), context.query.rng)
    has_waited = False
    while True:
        if wait_until_eligible(services, job.id, context.listener.waiting):
            wait = PlacementWait(services, _may_wait_s(context), context.query.rng)
        job = as_updated(services, job)
        run = TaskRun(replace(context, job=job))
        result = run.carry_out(has_waited=has_waited)
        if isinstance(result, TaskRunResult):
            if not result.cancelled or result.interrupted or result.slots or not was_held(services, job.id):
                return result
            job = replace(job, claim=run.next_claim)  # it was held before its first slot began
            continue
        services.journal.record_unplaced(job.id, attempt=job.attempt, claim=job.claim, plan=result)
        reason = unfit_summary(result, len(context.query.candidates))
        if wait.is_over:
            return result
        context.listener.waiting(reason)
        if not services.journal.set_pending_reason(job.id, reason):
            return result
        wait.pause()
        has_waited = True


def _may_wait_s(context: TaskRunContext) -> float:
    record = context.services.journal.record(context.job.id) if context.accepted else None
    if record is None:
        return context.restart_policy.queue_for_s or 0.0
    return seconds_left(context.services, record, context.restart_policy)
