"""Start one job that is queued: take it, place it, start it, let it go. Wherever that ends, it runs or waits on.

Between the steps any process may die: before *intend* the row is queued still, and in nobody's hands; behind it the
attempt is settled like any other, and one that never began waits again (docs/design/rebalance.md).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from clbalance.engine.agent.copies import LEAVE_RUNNING
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.conclude import finish_job, recorded_state_after_attempt, requeue
from clbalance.engine.jobs.submitted import next_attempt
from clbalance.engine.run.run import Run
from clbalance.engine.run.values import RunContext, RunResult
from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import ClbalanceError, Interrupted, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import RestartPolicy, Submitted
from clbalance.model.job_record import JobRecord
from clbalance.policy.jobs.record import current_copies
from clbalance.policy.jobs.requeue import Finished, nodes_to_exclude
from clbalance.ports import JobInput

ACQUIRED = "looking for nodes"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted:
    """It runs, in nobody's hands; or its start has told that it cannot be executed."""

    result: RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class StillQueued:
    """It waits on, and why."""

    reason: str
    failed: bool = False
    """Not for want of room: something is wrong that somebody should see to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAcquired:
    """There is nothing to start: somebody else has it in hand, it was cancelled, or it is over."""

    reason: str


QueuedStart: TypeAlias = JobStarted | StillQueued | NotAcquired


def start_queued(
    services: Services, query: PlacementQuery, record: JobRecord, submitted: Submitted, stdin: JobInput
) -> QueuedStart:
    """Start `record`'s job once, where `query` finds a place; `record` as it was seen in the queue.

    A signal that stops us leaves it queued, or running if its nodes were told already, and is raised.
    """
    if not services.journal.acquire(record.id, ACQUIRED, attempt=record.attempt):
        return NotAcquired(reason="it is in the hands of another process, or does not wait any more")
    services.fail_point("taken")
    try:
        return _with_controller(services, query, record.id, submitted, stdin)
    except ClbalanceError as error:
        if not requeue(services, record.id, error.message):
            services.journal.release(record.id)
        return StillQueued(reason=error.message, failed=True)
    except BaseException:
        if not requeue(services, record.id, "its start was cut short"):
            services.journal.release(record.id)
        raise


def _with_controller(
    services: Services, query: PlacementQuery, job: int, submitted: Submitted, stdin: JobInput
) -> QueuedStart:
    record = services.journal.record(job)
    assert record is not None, "it was taken"
    copies = services.journal.copies(job)
    ended = tuple(copy.outcome for copy in current_copies(record, copies) if copy.outcome is not None)
    # Who heard of the end may have died before he could write down what it means.
    if ended and isinstance(recorded_state_after_attempt(services, job, ended), Finished):
        finish_job(services, job, record.attempt, ended)
        return NotAcquired(reason="it is over")
    context = RunContext(services=services, query=query, stdin=stdin, listener=NullListener(), mode=LEAVE_RUNNING)
    excluded_nodes = nodes_to_exclude(submitted.restart_policy, copies)
    result = Run(context, next_attempt(services, record), RestartPolicy(), excluded_nodes, queued=True).carry_out()
    if result.cancelled:
        return NotAcquired(reason="it was cancelled")
    if result.dispatched is not None and result.dispatched.interrupted is not None:
        raise Interrupted(result.dispatched.interrupted)
    return JobStarted(result=result) if result.queued is None else StillQueued(reason=result.queued)


# Start a job that is queued, as it was submitted: where it has been seen to fit, else wherever it may go.


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedInputs:
    """What a job has brought along: where it may go and by which policy, and its standard input.

    `input_of` raises `UsageError` where that has gone since.
    """

    query_of: Callable[[Submitted], PlacementQuery]
    input_of: Callable[[Submitted], JobInput]


def start_waiting(
    services: Services,
    record: JobRecord,
    submitted: Submitted,
    submitted_inputs: SubmittedInputs,
    nodes: tuple[NodeName, ...] = (),
) -> QueuedStart:
    """`nodes`: where it has been seen to fit. Only they are asked, and all the others where they do not take it."""
    services = services.as_user(submitted.job.user)
    try:
        stdin = submitted_inputs.input_of(submitted)
    except UsageError as error:
        services.journal.queue(record.id, attempt=record.attempt, reason=error.message)
        return StillQueued(reason=error.message, failed=True)
    query = submitted_inputs.query_of(submitted)
    if nodes:
        came = start_queued(services, replace(query, candidates=nodes), record, submitted, stdin)
        if not isinstance(came, StillQueued) or came.failed:
            return came
    return start_queued(services, query, record, submitted, stdin)
