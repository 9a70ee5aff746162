"""All of `run --tasks`: wait for dependencies and for room, run every task, and record how the job ended."""

from clbalance.engine.jobs.conclude import cancel_unstarted, requeue, seconds_left, too_late
from clbalance.engine.jobs.conclude_tasks import finish_task_job
from clbalance.engine.jobs.wait import PlacementWait, wait_for_dependencies
from clbalance.engine.tasks.assignments import TaskRunContext, TaskRunResult
from clbalance.engine.tasks.task_run import TaskRun
from clbalance.errors import Interrupted
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.model.task import TaskRecord
from clbalance.policy.jobs.task_records import TaskJobOutcome
from clbalance.policy.placement.explain import unfit_summary


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
        result = _wait_for_place(context)
    except Interrupted as stop:
        if not (context.accepted and requeue(services, number, f"stopped by signal {stop.signum}")):
            cancel_unstarted(services, number, f"stopped by signal {stop.signum}")
        raise
    except BrokenPipeError:
        cancel_unstarted(services, number, "its output was not read any more")
        raise
    if isinstance(result, Plan):
        reason = unfit_summary(result, len(context.query.candidates))
        cancel_unstarted(services, number, too_late(reason) if context.accepted else reason)
        return result
    goes_on = result.left_running or (context.accepted and result.interrupted is not None)
    records, outcome = finish_task_job(
        services,
        number,
        context.job.attempt,
        result.reason,
        run_now=context.tasks,
        cancelled=result.cancelled,
        release=goes_on,
    )
    return TaskJobResult(result=result, records=records, job_outcome=outcome)


def _wait_for_place(context: TaskRunContext) -> TaskRunResult | Plan:
    services, job = context.services, context.job
    wait = PlacementWait(services, _may_wait_s(context), context.query.rng)
    while True:
        result = TaskRun(context).carry_out()
        if isinstance(result, TaskRunResult):
            return result
        services.journal.record_unplaced(job.id, attempt=job.attempt, claim=job.claim, plan=result)
        reason = unfit_summary(result, len(context.query.candidates))
        if wait.is_over:
            return result
        context.listener.waiting(reason)
        if not services.journal.set_pending_reason(job.id, reason):
            return result
        wait.pause()


def _may_wait_s(context: TaskRunContext) -> float:
    record = context.services.journal.record(context.job.id) if context.accepted else None
    if record is None:
        return context.restart_policy.queue_for_s or 0.0
    return seconds_left(context.services, record, context.restart_policy)
