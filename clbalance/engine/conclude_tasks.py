"""Write down how a job of tasks has ended, by the log of its tasks."""

from clbalance.engine.world import World
from clbalance.errors import StoreError
from clbalance.job import JobState
from clbalance.policy.task_records import TasksVerdict, task_records, verdict_of
from clbalance.task import TaskRecord


def conclude_tasks(
    world: World, job: int, why: str, *, cancelled: bool = False, let_go: bool = False
) -> tuple[tuple[TaskRecord, ...], TasksVerdict]:
    """Write down how the job has ended by the log of its tasks; it is only let go where that is not known yet."""
    journal = world.journal
    records = task_records(journal.tasks(job), journal.task_log(job).events())
    verdict = verdict_of(records, why, cancelled=cancelled)
    try:
        if let_go or verdict.state is JobState.RUNNING:
            journal.let_go(job)
        else:
            journal.conclude(job, world.clock.now(), state=verdict.state, reason=verdict.reason, rc=verdict.rc)
    except StoreError as error:
        world.listener.forgot(error.message)
    return records, verdict
