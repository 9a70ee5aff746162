"""Candidates for migration: which jobs may migrate, in which order, and how much load goes with each. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Lease, Measured, NodeName, Qos, Unknown
from clbalance.model.job import Submitted
from clbalance.model.job_record import CopyRecord, JobRecord, JobState, MigrationRequest, Usage
from clbalance.policy.jobs.record import qos_of, why_not_migratable_now
from clbalance.policy.jobs.requeue import MISSED_CHECKPOINT
from clbalance.policy.placement.force import unforced
from clbalance.policy.rebalance.levels import Pool
from clbalance.policy.rebalance.values import BalanceSettings, Departure, RunningJob


class MigrationPriority(IntEnum):
    """Order of migration: jobs with the weakest guarantees first (Kubernetes' order of eviction)."""

    BEST_EFFORT = 0
    ABOVE_REQUEST = 1
    """Burstable, and it uses more than its request."""
    BURSTABLE = 2
    GUARANTEED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationCandidate:
    """A job that may be migrated."""

    job: RunningJob
    lease: Lease
    excess: float
    """Cpus that it uses above its request, as far as its node's load shows them; they migrate with it."""
    priority: MigrationPriority

    @property
    def weight(self) -> float:
        """Cpus by which its node is relieved."""
        return self.job.request.cpus + self.excess


def candidates_of(
    pool: Pool, jobs: Sequence[RunningJob], settings: BalanceSettings, uid: int
) -> tuple[tuple[MigrationCandidate, ...], Mapping[int, str]]:
    """The jobs that may be migrated, and by job number why the others may not."""
    excess_of = {use.node: use.excess for use in pool.members}
    held = _leases(pool, jobs, uid)
    above: dict[NodeName, float] = {}
    for job in jobs:
        if job.job in held:
            above[job.node] = above.get(job.node, 0.0) + _above(job)
    candidates: list[MigrationCandidate] = []
    hindered: dict[int, str] = {}
    for job in jobs:
        lease = held.get(job.job)
        if reason := _why_not_migratable(job, settings):
            hindered[job.job] = reason
        elif lease is None:
            hindered[job.job] = f"{job.node} shows no lease of it"
        else:
            # Its mean use may be above its use now: all jobs together cannot take more load along than the node shows.
            shown = min(1.0, excess_of[job.node] / above[job.node]) if above[job.node] else 0.0
            candidates.append(
                MigrationCandidate(job=job, lease=lease, excess=_above(job) * shown, priority=_priority(job))
            )
    return tuple(candidates), hindered


def _why_not_migratable(job: RunningJob, settings: BalanceSettings) -> str:
    if job.why_not_migratable:
        return job.why_not_migratable
    if job.migrated_s_ago is not None and job.migrated_s_ago < settings.cooldown_s:
        what = MISSED_CHECKPOINT if job.missed_checkpoint else "moved"
        return (
            f"{what} {max(0.0, job.migrated_s_ago):.0f} s ago; it is not moved again within {settings.cooldown_s:g} s"
        )
    if job.qos is Qos.GUARANTEED and not settings.guaranteed:
        return "its QoS is Guaranteed, and `[rebalance] guaranteed` is false"
    return ""


def _priority(job: RunningJob) -> MigrationPriority:
    match job.qos:
        case Qos.BEST_EFFORT:
            return MigrationPriority.BEST_EFFORT
        case Qos.BURSTABLE:
            return MigrationPriority.ABOVE_REQUEST if _above(job) else MigrationPriority.BURSTABLE
        case Qos.GUARANTEED:
            return MigrationPriority.GUARANTEED
        case _:
            assert_never(job.qos)


def _above(job: RunningJob) -> float:
    return max(0.0, (job.cpus_used or 0.0) - job.request.cpus)


def _leases(pool: Pool, jobs: Sequence[RunningJob], uid: int) -> dict[int, Lease]:
    """The lease of each job, by job number, if its node shows one; no lease is given to two jobs."""
    members = {use.node for use in pool.members}
    ours: dict[NodeName, list[Lease]] = {}
    for answer in pool.snapshot.answers:
        if isinstance(answer, Measured) and answer.node in members:
            leases = answer.reading.leases
            assert not isinstance(leases, Unknown)  # a member's load is known
            ours[answer.node] = sorted([lease for lease in leases if lease.uid == uid], key=lambda one: one.key)
    held: dict[int, Lease] = {}
    for job in jobs:
        found = next((lease for lease in ours.get(job.node, ()) if _is_of(lease, job)), None)
        if found is not None:
            held[job.job] = found
            ours[job.node].remove(found)
    return held


def _is_of(lease: Lease, job: RunningJob) -> bool:
    allocation = lease.allocation
    if not isinstance(allocation, Allocation):
        return False
    return lease.key == job.key if job.key else (allocation.name, allocation.cpus) == (job.name, job.request.cpus)


# -- the jobs of this host's journal, as rebalancing needs them

_YOUNG_S: Final = 30.0
"""Until this age the mean use of a job tells more about its start than about the job."""
_SHOWN_FOR_S: Final = 600.0
"""After ten time constants the run queue average shows nothing of a job any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """A job with its submission and the copies of all its attempts."""

    record: JobRecord
    submitted: Submitted
    copies: tuple[CopyRecord, ...]
    migration: MigrationRequest | None = None
    """The last requested migration, whatever its stage."""

    @property
    def is_running(self) -> bool:
        """Whether it is running on known nodes, which we have chosen."""
        return self.record.state is JobState.RUNNING and bool(self.record.nodes) and not self.record.engine

    @property
    def ends_at(self) -> datetime | None:
        """When its time limit is reached; None: unknown."""
        began, limit_s = self.record.started_at, self.submitted.job.time_limit_s
        return None if began is None or limit_s is None else began + timedelta(seconds=limit_s)


def running_job(job: JobInfo, usage: Usage | None, pool: frozenset[NodeName], now: datetime) -> RunningJob:
    """A running job in relation to its pool; `usage` None: not measured."""
    record, request = job.record, job.submitted.request
    came_s_ago, missed_s_ago = _came_s_ago(job, now), _aborted_s_ago(job, now)
    elsewhere = pool.difference(job.submitted.candidates)
    return RunningJob(
        job=record.id,
        key=record.key,
        name=record.name,
        node=record.nodes[0],
        request=replace(unforced(request), excluded=request.excluded | elsewhere),
        not_committed=elsewhere,
        cpus_used=_cpus_used(record, usage, now),
        qos=qos_of(request),
        earlier_nodes=frozenset(copy.intent.node for copy in job.copies if copy.attempt < record.attempt),
        # A job that did not checkpoint in time must not be asked again every few minutes.
        migrated_s_ago=min((one for one in (came_s_ago, missed_s_ago) if one is not None), default=None),
        missed_checkpoint=missed_s_ago is not None and (came_s_ago is None or missed_s_ago <= came_s_ago),
        why_not_migratable=why_not_migratable_now(record, job.submitted),
    )


def departures(known: Iterable[JobInfo], now: datetime) -> tuple[Departure, ...]:
    """Copies that ended so recently that the run queues of their nodes still show them."""
    return tuple(departure for job in known for departure in _departed(job, now))


def is_recent(record: JobRecord, now: datetime) -> bool:
    """Whether it is not over, or ended recently."""
    return record.ended_at is None or (now - record.ended_at).total_seconds() < _SHOWN_FOR_S


def _departed(job: JobInfo, now: datetime) -> Iterator[Departure]:
    attempt, ended_at = _last_end(job.record)
    ago_s = _seconds_since(ended_at, now)
    if ago_s is None or ago_s >= _SHOWN_FOR_S:
        return
    for copy in job.copies:
        if copy.attempt == attempt and copy.outcome is not None and copy.outcome.seconds > 0:
            cpus, age_s = job.submitted.request.cpus, copy.outcome.seconds
            yield Departure(node=copy.intent.node, cpus=cpus, age_s=age_s, seconds_ago=ago_s)


def _last_end(record: JobRecord) -> tuple[int, datetime | None]:
    """The attempt that ended last, and when; an earlier attempt ended when the current one began, at the latest."""
    if record.ended_at is not None:
        return record.attempt, record.ended_at
    return record.attempt - 1, record.started_at if record.attempt > 1 else None


def _came_s_ago(job: JobInfo, now: datetime) -> float | None:
    return None if job.record.attempt == 1 else _seconds_since(job.record.started_at, now)


def _aborted_s_ago(job: JobInfo, now: datetime) -> float | None:
    """Seconds since it was told to checkpoint, if it did not do so in time; else None."""
    move = job.migration
    if move is None or move.attempt != job.record.attempt or move.abort_reason != MISSED_CHECKPOINT:
        return None
    return max(0.0, now.timestamp() - move.requested_at_s)


def _cpus_used(record: JobRecord, usage: Usage | None, now: datetime) -> float | None:
    """Mean cpu use since its start; None if not measured or too young."""
    age_s = _seconds_since(record.started_at, now)
    return None if usage is None or age_s is None or age_s < _YOUNG_S else usage.cpu_s / age_s


def _seconds_since(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())


def jobs_on(jobs: Iterable[JobInfo], nodes: frozenset[NodeName]) -> Sequence[JobInfo]:
    """The jobs that run on one of `nodes`."""
    return [job for job in jobs if job.is_running and not nodes.isdisjoint(job.record.nodes)]
