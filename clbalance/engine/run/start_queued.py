"""Start one queued job: acquire it, place it, start it, release it. Wherever that stops, the job runs or is queued.

We may die between any two steps. Before the launch is recorded, the row is still queued and has no controller. After
that, the attempt is reconciled like any other, and one that never began is queued again (docs/design/rebalance.md).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from clbalance.engine.agent.copies import LEAVE_RUNNING
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.conclude import finish_job, recorded_state_after_attempt, release, requeue
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
from clbalance.ports import InputOf, JobInput

ACQUIRED = "looking for nodes"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted:
    """The job runs without a controller; or its start has shown that it cannot be executed."""

    result: RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class StillQueued:
    """The job is still queued, for this reason."""

    reason: str
    failed: bool = False
    """The cause is not lack of room but an error that a user should look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAcquired:
    """Nothing to start: the job has another controller, was cancelled, or is over."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Controlled:
    """A controller was started for the job: of tasks, for as long as it runs; with files, to send and return them."""


QueuedStart: TypeAlias = JobStarted | Controlled | StillQueued | NotAcquired


def start_queued(
    services: Services, query: PlacementQuery, record: JobRecord, submitted: Submitted, stdin: JobInput
) -> QueuedStart:
    """Start the job of `record` once, if `query` finds room. `record`: as read from the queue.

    `Interrupted` by a signal: the job is then queued, or runs if its nodes were told to start it already.
    """
    if not services.journal.acquire(record.id, ACQUIRED, attempt=record.attempt):
        return NotAcquired(reason="another process controls it, or it is not queued any more")
    services.fail_point("taken")
    try:
        return _with_controller(services, query, record.id, submitted, stdin)
    except ClbalanceError as error:
        if not requeue(services, record.id, error.message):
            release(services, record.id)
        return StillQueued(reason=error.message, failed=True)
    except BaseException:
        if not requeue(services, record.id, "its start was interrupted"):
            release(services, record.id)
        raise


def _with_controller(
    services: Services, query: PlacementQuery, job: int, submitted: Submitted, stdin: JobInput
) -> QueuedStart:
    record = services.journal.record(job)
    assert record is not None, "it was taken"
    copies = services.journal.copies(job)
    ended = tuple(copy.outcome for copy in current_copies(record, copies) if copy.outcome is not None)
    # A controller may have died between recording the outcomes and recording the job's next state.
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


# Start a queued job with its submitted inputs: on nodes where it was planned, else on any candidate.


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedInputs:
    """Rebuild the inputs of a submitted job: its placement query, and its standard input.

    `input_of` raises `UsageError` if the input is gone. `control` starts a controller for a queued job; False if
    another process has acquired the job.
    """

    query_of: Callable[[Submitted], PlacementQuery]
    input_of: InputOf
    control: Callable[[JobRecord], bool]


def start_waiting(
    services: Services,
    record: JobRecord,
    submitted: Submitted,
    submitted_inputs: SubmittedInputs,
    nodes: tuple[NodeName, ...] = (),
) -> QueuedStart:
    """Start a queued job. `nodes`: where it was planned; asked first. If they refuse, all candidates are tried."""
    if submitted.rules is not None or submitted.job.files is not None:
        return Controlled() if submitted_inputs.control(record) else NotAcquired(reason="another process controls it")
    services = services.as_user(submitted.job.user)
    try:
        stdin = submitted_inputs.input_of(services.journal, record.id, submitted)
    except UsageError as error:
        services.journal.queue(record.id, attempt=record.attempt, reason=error.message)
        return StillQueued(reason=error.message, failed=True)
    query = submitted_inputs.query_of(submitted)
    if nodes:
        came = start_queued(services, replace(query, candidates=nodes), record, submitted, stdin)
        if not isinstance(came, StillQueued) or came.failed:
            return came
    return start_queued(services, query, record, submitted, stdin)
