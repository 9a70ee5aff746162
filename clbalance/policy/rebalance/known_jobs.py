"""What a host remembers of its jobs, as rebalancing wants to know it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from clbalance.job import CopyRecord, JobRecord, JobState, Submitted, Usage
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.moves import MoveOrder
from clbalance.policy.may_move import hindrance_now
from clbalance.policy.moved import IN_VAIN
from clbalance.policy.qos import qos_of
from clbalance.policy.rebalance.values import Departure, Movable

_YOUNG_S: Final = 30.0
"""Until then the mean use of a job says more about its start than about the job."""
_SHOWN_FOR_S: Final = 600.0
"""After ten times its memory a run queue shows nothing of a job any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A job, what it was asked to be, and where all its attempts have been."""

    record: JobRecord
    submitted: Submitted
    copies: tuple[CopyRecord, ...]
    move: MoveOrder | None = None
    """The last that was asked or meant."""

    @property
    def is_running(self) -> bool:
        """Whether it is known to be on a node."""
        return self.record.state is JobState.RUNNING and bool(self.record.nodes)

    @property
    def ends_at(self) -> datetime | None:
        """When its time limit is reached; None: nobody knows."""
        began, limit_s = self.record.started_at, self.submitted.job.time_limit_s
        return None if began is None or limit_s is None else began + timedelta(seconds=limit_s)


def movable(job: Known, usage: Usage | None, pool: frozenset[NodeName], now: datetime) -> Movable:
    """A running job among the nodes of its pool; `usage` None where it was not told."""
    record, request = job.record, job.submitted.request
    came_s_ago, told_s_ago = _came_s_ago(job, now), _told_in_vain_s_ago(job, now)
    elsewhere = pool.difference(job.submitted.candidates)
    return Movable(
        job=record.id,
        key=record.key,
        name=record.name,
        node=record.nodes[0],
        request=replace(request, excluded=request.excluded | elsewhere),
        not_meant=elsewhere,
        cpus_used=_cpus_used(record, usage, now),
        qos=qos_of(request),
        been_on=frozenset(copy.intent.node for copy in job.copies if copy.attempt < record.attempt),
        # One that was told in vain is not to be told again every few minutes.
        moved_s_ago=min((one for one in (came_s_ago, told_s_ago) if one is not None), default=None),
        in_vain=told_s_ago is not None and (came_s_ago is None or told_s_ago <= came_s_ago),
        hindrance=hindrance_now(record, job.submitted),
    )


def departures(known: Iterable[Known], now: datetime) -> tuple[Departure, ...]:
    """Copies that have ended so lately that the run queues of their nodes still show them."""
    return tuple(departure for job in known for departure in _departed(job, now))


def is_worth_knowing(record: JobRecord, now: datetime) -> bool:
    """Whether it is on a node, waits, or has left a node lately."""
    return record.ended_at is None or (now - record.ended_at).total_seconds() < _SHOWN_FOR_S


def _departed(job: Known, now: datetime) -> Iterator[Departure]:
    attempt, ended_at = _last_end(job.record)
    ago_s = _seconds_since(ended_at, now)
    if ago_s is None or ago_s >= _SHOWN_FOR_S:
        return
    for copy in job.copies:
        if copy.attempt == attempt and copy.outcome is not None and copy.outcome.seconds > 0:
            cpus, age_s = job.submitted.request.cpus, copy.outcome.seconds
            yield Departure(node=copy.intent.node, cpus=cpus, age_s=age_s, seconds_ago=ago_s)


def _last_end(record: JobRecord) -> tuple[int, datetime | None]:
    """The attempt that ended last, and when: of one before another, when that one began."""
    if record.ended_at is not None:
        return record.attempt, record.ended_at
    return record.attempt - 1, record.started_at if record.attempt > 1 else None


def _came_s_ago(job: Known, now: datetime) -> float | None:
    return None if job.record.attempt == 1 else _seconds_since(job.record.started_at, now)


def _told_in_vain_s_ago(job: Known, now: datetime) -> float | None:
    """Since it was told to checkpoint, where it did not in time."""
    move = job.move
    if move is None or move.attempt != job.record.attempt or move.told != IN_VAIN:
        return None
    return max(0.0, now.timestamp() - move.asked_at_s)


def _cpus_used(record: JobRecord, usage: Usage | None, now: datetime) -> float | None:
    """Its mean over its life."""
    age_s = _seconds_since(record.started_at, now)
    return None if usage is None or age_s is None or age_s < _YOUNG_S else usage.cpu_s / age_s


def _seconds_since(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())


def on(jobs: Iterable[Known], nodes: frozenset[NodeName]) -> Sequence[Known]:
    """Those that run on one of `nodes`."""
    return [job for job in jobs if job.is_running and not nodes.isdisjoint(job.record.nodes)]
