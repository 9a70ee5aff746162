"""Questions about a job's record: missing outcomes, dependencies, whether it may be migrated, its QoS. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Qos, Request
from clbalance.model.job import JobSpec, RestartPolicy, Submitted
from clbalance.model.job_record import CopyRecord, End, JobRecord, JobState, Lost, NotStarted


def current_copies(record: JobRecord, copies: tuple[CopyRecord, ...]) -> tuple[CopyRecord, ...]:
    """The copies of the last recorded attempt: those of one claim, or slots with a claim each."""
    return tuple(copy for copy in copies if copy.attempt == record.attempt)


def copies_without_outcome(record: JobRecord, copies: tuple[CopyRecord, ...]) -> tuple[CopyRecord, ...]:
    """The copies without a known end; none if the job is over."""
    if record.state.is_over:
        return ()
    return tuple(copy for copy in current_copies(record, copies) if copy.outcome is None)


def was_abandoned(record: JobRecord, copies: tuple[CopyRecord, ...]) -> bool:
    """Whether its controller died before it could be started. A queued job goes on waiting."""
    has_no_controller = not record.state.is_over and not record.has_controller and not record.queued
    return has_no_controller and not current_copies(record, copies)


def is_queued(record: JobRecord) -> bool:
    """Whether it waits for `rebalance` to start it."""
    return record.queued and record.state is JobState.PENDING and not record.has_controller


def half_started(record: JobRecord, copies: tuple[CopyRecord, ...]) -> str:
    """Why the other copies of a job without a controller must end: one copy never started. Else empty.

    The process that found out may have died before the other nodes answered.
    """
    if record.has_controller or record.state.is_over:
        return ""
    never = (one for one in current_copies(record, copies) if one.outcome and isinstance(one.outcome.end, NotStarted))
    return next((f"it could not start on {one.intent.node}" for one in never), "")


FIRST_IS_OVER = "its job is over on the first node"
"""Why a copy ends that only holds its node for the first one."""


def releases_others(rank: int, end: End | None) -> bool:
    """Whether copies that hold their nodes for this one may end: it is the first, and it has run."""
    return rank == 0 and end is not None and not isinstance(end, Lost | NotStarted)


def first_is_over(record: JobRecord, copies: tuple[CopyRecord, ...]) -> str:
    """Why the other copies of a `--first-node` job without a controller must end: the first is over. Else empty."""
    if record.has_controller or record.state.is_over:
        return ""
    ends = ((one.intent.rank, one.outcome.end) for one in current_copies(record, copies) if one.outcome is not None)
    return FIRST_IS_OVER if any(releases_others(rank, end) for rank, end in ends) else ""


def gives_up_at(
    record: JobRecord, restart_policy: RestartPolicy, before: Iterable[JobRecord | None]
) -> datetime | None:
    """When a job has waited as long as its `--queue-for` allows. None: it waits as long as it takes.

    The limit is for its first start. It begins when the jobs `before` it are over and its begin time has come. It does
    not count while the job is held.
    """
    if restart_policy.queue_for_s is None or record.waits_since is None or record.held:
        return None
    since = record.waits_since if record.begin_at is None else max(record.waits_since, record.begin_at)
    for one in before:
        if one is not None and one.ended_at is None:
            return None
        since = since if one is None or one.ended_at is None else max(since, one.ended_at)
    return since + timedelta(seconds=restart_policy.queue_for_s)


# -- dependencies of a queued job


class DependencyState(Enum):
    """Whether a job's dependencies allow its start."""

    SATISFIED = "now"
    WAITING = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """`reason`: why it may not start now; empty if it may."""

    state: DependencyState
    reason: str = ""


def dependency(before: Mapping[int, JobRecord | None]) -> Dependency:
    """The dependency on the jobs `before`; None: that job is not in the journal."""
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


# -- migratable jobs: only those that their owner has marked


def is_migratable(job: JobSpec, request: Request, restart_policy: RestartPolicy) -> bool:
    """Whether its owner allows migration, and it can start on another node."""
    return not why_not_migratable(job, request, restart_policy)


def why_not_migratable(job: JobSpec, request: Request, restart_policy: RestartPolicy) -> str:
    """Why a job can never be migrated; empty if it can."""
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
    """The same, for the job in its current state."""
    if record.engine:
        return f"runs in {record.engine}"
    if record.state is not JobState.RUNNING:
        return f"{record.state}"
    return why_not_migratable(submitted.job, submitted.request, submitted.restart_policy)


# -- QoS class, derived from requests and limits as in Kubernetes
#
# Cpus and memory count, GPUs do not (kubernetes.io/docs/concepts/workloads/pods/pod-qos).


def qos_of(asked: Request | Allocation) -> Qos:
    """The QoS class of a request, or of the lease made from it."""
    if not (asked.cpus or asked.mem_bytes or asked.limit_cpus or asked.limit_mem_bytes):
        return Qos.BEST_EFFORT
    if asked.cpus and asked.mem_bytes and _has_no_room_above(asked):
        return Qos.GUARANTEED
    return Qos.BURSTABLE


def _has_no_room_above(asked: Request | Allocation) -> bool:
    """Whether both limits are set and equal to the request."""
    return asked.limit_cpus == asked.cpus and asked.limit_mem_bytes == asked.mem_bytes
