"""Write down how a job of tasks has ended, by the log of its tasks."""

from dataclasses import replace

from clbalance.engine.results import keep_results
from clbalance.engine.world import World
from clbalance.errors import StoreError
from clbalance.job import JobState, Outcome
from clbalance.model import NodeName
from clbalance.policy.task_records import TasksVerdict, task_records, verdict_of
from clbalance.policy.verdict import gravest
from clbalance.task import TaskRecord


def conclude_tasks(
    world: World, job: int, attempt: int, why: str, *, cancelled: bool = False, let_go: bool = False
) -> tuple[tuple[TaskRecord, ...], TasksVerdict]:
    """Write down how the job has ended by the log of its tasks; it is only let go where that is not known yet."""
    journal = world.journal
    records = task_records(journal.tasks(job), journal.task_log(job).events())
    verdict = verdict_of(records, why, cancelled=cancelled)
    try:
        if let_go or verdict.state is JobState.RUNNING:
            journal.let_go(job)
        else:
            state, reason, rc = verdict.state, verdict.reason, verdict.rc
            journal.conclude(job, world.clock.now(), attempt=attempt, state=state, reason=reason, rc=rc)
    except StoreError as error:
        world.listener.forgot(error.message)
    _keep_results(world, job, records)
    return records, verdict


def _keep_results(world: World, job: int, records: tuple[TaskRecord, ...]) -> None:
    """A node is what the worst of its tasks was; one that was given none has no part in it."""
    by_node: dict[NodeName, list[Outcome]] = {}
    for one in records:
        if one.node is not None and one.end is not None:
            outcome = Outcome(node=one.node, rank=0, end=one.end, seconds=one.seconds)
            by_node.setdefault(one.node, []).append(outcome)
    worst = [each for each in map(gravest, by_node.values()) if each is not None]
    placed = world.journal.placed(job)
    if placed:
        keep_results(world, job, worst, replace(placed[-1].plan, wanted=1))
