"""The whole of `run --tasks`: wait for its turn and for a place, run every task, and write down how the job ended."""

from clbalance.engine.jobs.conclude import withdraw
from clbalance.engine.jobs.conclude_tasks import conclude_tasks
from clbalance.engine.jobs.wait import Patience, await_turn
from clbalance.engine.tasks.assignments import TaskCourse, TasksRan
from clbalance.engine.tasks.task_run import TaskRun
from clbalance.errors import Interrupted
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.model.task import TaskRecord
from clbalance.policy.jobs.task_records import TasksVerdict
from clbalance.policy.placement.explain import why_not


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksOutcome:
    """What is known of every task, and what that makes of the job."""

    ran: TasksRan
    records: tuple[TaskRecord, ...]
    verdict: TasksVerdict


def run_tasks(course: TaskCourse) -> TasksOutcome | Plan:
    """The plan, where no slot fitted anywhere for as long as the job may wait."""
    services, number = course.services, course.job.id
    try:
        await_turn(services, number, course.tries, course.listener.waiting)
        ran = _wait_for_place(course)
    except Interrupted as stop:
        withdraw(services, number, f"stopped by signal {stop.signum}")
        raise
    except BrokenPipeError:
        withdraw(services, number, "nobody read what it had to say")
        raise
    if isinstance(ran, Plan):
        withdraw(services, number, why_not(ran, len(course.question.candidates)))
        return ran
    records, verdict = conclude_tasks(
        services, number, course.job.attempt, ran.why, cancelled=ran.cancelled, let_go=ran.goes_on
    )
    return TasksOutcome(ran=ran, records=records, verdict=verdict)


def _wait_for_place(course: TaskCourse) -> TasksRan | Plan:
    services, job = course.services, course.job
    patience = Patience(services, course.tries, course.question.rng)
    while True:
        ran = TaskRun(course).carry_out()
        if isinstance(ran, TasksRan):
            return ran
        services.journal.consider(job.id, attempt=job.attempt, claim=job.claim, plan=ran)
        reason = why_not(ran, len(course.question.candidates))
        if patience.is_over:
            return ran
        course.listener.waiting(reason)
        if not services.journal.pend(job.id, reason):
            return ran
        patience.pause()
