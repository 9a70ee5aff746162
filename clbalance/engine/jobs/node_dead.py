"""Mark silent nodes as dead (`requeue --node-is-dead`)."""

from clbalance.engine.jobs.conclude import finish_job
from clbalance.engine.jobs.conclude_tasks import finish_task_job
from clbalance.engine.jobs.reconciled import Reconciled
from clbalance.engine.jobs.submitted import end_copies, spec_of
from clbalance.engine.services import Services
from clbalance.errors import ClbalanceError
from clbalance.model import NodeName
from clbalance.model.job_record import JobRecord, Lost, NodeFailed, Outcome
from clbalance.model.task import TaskEnded
from clbalance.nodeset import fold
from clbalance.policy.jobs.record import current_copies
from clbalance.policy.jobs.task_records import is_open, task_records


def mark_node_dead(services: Services, reconciled: Reconciled, reason: str) -> JobRecord:
    """Record the copies on silent nodes, and the tasks of their slots, as lost.

    The other copies are ended first, so that a job that starts again runs nowhere else. If one of them does not
    confirm its end: `ClbalanceError`, and nothing is recorded as lost.
    """
    job, journal = reconciled.record, services.journal
    end = NodeFailed(reason=reason)
    dead = {outcome.node for outcome in reconciled.outcomes if isinstance(outcome.end, Lost)}
    slots = spec_of(services, job).slots
    left = [copy for copy in current_copies(job, journal.copies(job.id)) if copy.outcome is None]
    lost = [copy for copy in left if copy.intent.node in dead]
    if not slots and (alive := frozenset(copy.intent.node for copy in left) - dead):
        _end_the_others(services, job, alive, reason)
    for copy in lost:
        journal.ended(job.id, copy.claim, Outcome(node=copy.intent.node, rank=copy.intent.rank, end=end, seconds=0.0))
    if slots:
        _give_up_tasks(services, job.id, frozenset(copy.claim for copy in lost), end)
        finish_task_job(services, job.id, job.attempt, "")
    else:
        ends = [copy.outcome for copy in current_copies(job, journal.copies(job.id)) if copy.outcome is not None]
        finish_job(services, job.id, job.attempt, tuple(ends))
    return journal.record(job.id) or job


def _end_the_others(services: Services, job: JobRecord, alive: frozenset[NodeName], reason: str) -> None:
    if unconfirmed := end_copies(services, job, alive, f"another node was {reason}"):
        raise ClbalanceError(
            f"job {job.id} may still run on {fold(unconfirmed)}, which has not confirmed its end",
            hint="nothing was started; `clbalance jobs` shows the state; then repeat the command",
        )


def _give_up_tasks(services: Services, job: int, claims: frozenset[int], end: NodeFailed) -> None:
    log, now = services.journal.task_log(job), services.clock.now()
    records = task_records(services.journal.tasks(job), log.events())
    log.add(
        [
            TaskEnded(number=one.task.number, node=one.node, claim=one.claim, end=end, seconds=0.0, at=now)
            for one in records
            if one.node is not None and one.claim in claims and is_open(one)
        ],
        durable=True,
    )
