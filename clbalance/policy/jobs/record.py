"""What a job's record says: what is unsettled, whether it is its turn, whether it may be moved, its class. Pure."""

from collections.abc import Mapping
from enum import Enum

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Qos, Request
from clbalance.model.job import JobSpec, RestartPolicy, Submitted
from clbalance.model.job_record import CopyRecord, JobRecord, JobState, NotStarted


def current_copies(record: JobRecord, copies: tuple[CopyRecord, ...]) -> tuple[CopyRecord, ...]:
    """Of the attempt that was written down last: the copies of one claim, or the slots of several."""
    return tuple(copy for copy in copies if copy.attempt == record.attempt)


def copies_without_outcome(record: JobRecord, copies: tuple[CopyRecord, ...]) -> tuple[CopyRecord, ...]:
    """The copies of which no end is known, if the job is not over."""
    if record.state.is_over:
        return ()
    return tuple(copy for copy in current_copies(record, copies) if copy.outcome is None)


def was_abandoned(record: JobRecord, copies: tuple[CopyRecord, ...]) -> bool:
    """Whether whoever had it in hand died before it could have been started. One that is queued waits on."""
    in_nobodys_hands = not record.state.is_over and not record.has_controller and not record.queued
    return in_nobodys_hands and not current_copies(record, copies)


def is_queued(record: JobRecord) -> bool:
    """Whether it waits for `rebalance` to start it."""
    return record.queued and record.state is JobState.PENDING and not record.has_controller


def half_started(record: JobRecord, copies: tuple[CopyRecord, ...]) -> str:
    """Why the rest of a job that nobody has in hand must end, where a copy of it never started; else empty.

    Who found that out may have gone before the others' nodes had answered.
    """
    if record.has_controller or record.state.is_over:
        return ""
    never = (one for one in current_copies(record, copies) if one.outcome and isinstance(one.outcome.end, NotStarted))
    return next((f"it could not start on {one.intent.node}" for one in never), "")


# Whether it is a queued job's turn, by the jobs that it comes after. Pure.


class DependencyState(Enum):
    """May it be started?"""

    SATISFIED = "now"
    WAITING = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """`reason`: why not now; empty where it may."""

    state: DependencyState
    reason: str = ""


def dependency(before: Mapping[int, JobRecord | None]) -> Dependency:
    """By what is known of the jobs before it; None: that one is not remembered."""
    for number, record in before.items():
        if record is None:
            return Dependency(state=DependencyState.NEVER, reason=f"after job {number}, which is not remembered")
        if record.state.is_over and record.state is not JobState.COMPLETED:
            message = f": {record.reason}" if record.reason else ""
            return Dependency(
                state=DependencyState.NEVER, reason=f"after job {number}, which is {record.state}{message}"
            )
    open_ones = [number for number, record in before.items() if record is not None and not record.state.is_over]
    if open_ones:
        return Dependency(state=DependencyState.WAITING, reason=f"after job {', '.join(map(str, open_ones))}")
    return Dependency(state=DependencyState.SATISFIED)


# Which jobs may be taken to another node while they run: those whose owner has said so. Pure.


def is_migratable(job: JobSpec, request: Request, restart_policy: RestartPolicy) -> bool:
    """Whether its owner has marked it, and it can start elsewhere."""
    return not why_not_migratable(job, request, restart_policy)


def why_not_migratable(job: JobSpec, request: Request, restart_policy: RestartPolicy) -> str:
    """Why a job stays where it is, whatever is gained; empty where it may be moved."""
    if not restart_policy.requeue and restart_policy.checkpoint is None:
        return "not marked `--requeue` or `--checkpoint`"
    if job.pty is not None:
        return "has a terminal"
    if job.slots:
        return "gives out tasks"
    if request.pick != 1:
        return "is a job of several copies"
    return ""


def why_not_migratable_now(record: JobRecord, submitted: Submitted) -> str:
    """The same of a job as it stands at this moment."""
    if record.state is not JobState.RUNNING:
        return f"{record.state}"
    return why_not_migratable(submitted.job, submitted.request, submitted.restart_policy)


# A job's quality of service, derived as in Kubernetes from what it asks for and what it is limited to. Pure.
#
# Cpus and memory count, GPUs do not (kubernetes.io/docs/concepts/workloads/pods/pod-qos).


def qos_of(asked: Request | Allocation) -> Qos:
    """The class of a request, or of the lease that it became."""
    if not (asked.cpus or asked.mem_bytes or asked.limit_cpus or asked.limit_mem_bytes):
        return Qos.BEST_EFFORT
    if asked.cpus and asked.mem_bytes and _has_no_room_above(asked):
        return Qos.GUARANTEED
    return Qos.BURSTABLE


def _has_no_room_above(asked: Request | Allocation) -> bool:
    """Whether both limits are set, and leave no room above the request."""
    return asked.limit_cpus == asked.cpus and asked.limit_mem_bytes == asked.mem_bytes
