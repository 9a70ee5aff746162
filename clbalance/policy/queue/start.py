"""Chooses the queued jobs to start now, and their nodes. Pure.

    queued → sorted by points → a reservation for the first that does not fit → starts, reasons

By a list of `queues.WAITING_LISTS`: jobs pass the first one that does not fit only if they do not delay it. Each job is
placed on those of its own candidates that were probed, by the policy of its group.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Request, Snapshot
from clbalance.model.job import Submitted
from clbalance.model.job_record import CopyRecord, JobRecord
from clbalance.policy.jobs.record import Dependency, DependencyState
from clbalance.policy.jobs.requeue import nodes_to_exclude
from clbalance.policy.placement.explain import unfit_summary
from clbalance.policy.placement.fragmentation import seen_in
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng
from clbalance.policy.queue.cluster_state import JobAllocations
from clbalance.policy.queue.free_capacity import Leased, OwnRequest, QueueCapacity, Taken, only_on
from clbalance.policy.queue.queues import PRIORITY, JobQueue, QueuedJob, Running

NOW = Dependency(state=DependencyState.SATISFIED)
_NOT_ASKED = "none of its nodes was probed"
_OTHERS_FIRST = "its nodes are reserved for a job ahead of it (backfill)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingJob:
    """A queued job; `estimate_s` None: its duration is unknown."""

    job: int
    request: Request
    candidates: tuple[NodeName, ...]
    submitted_at: datetime
    priority: float = 0.0
    fair_share: float = 0.0
    """Points that its account has for having used less than others."""
    estimate_s: float | None = None
    group: str | None = None
    policy: str | None = None
    dependency: Dependency = NOW
    excluded_nodes: frozenset[NodeName] = frozenset()
    """Nodes to avoid while others fit: it failed there, or was migrated away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """By job number: the jobs to start, in order, with nodes; reasons of those that wait; of those that never start."""

    starts: tuple[tuple[int, tuple[NodeName, ...]], ...] = ()
    waits: Mapping[int, str]
    never: Mapping[int, str]


def pending_job(
    record: JobRecord,
    submitted: Submitted,
    copies: Sequence[CopyRecord],
    dependency: Dependency = NOW,
    fair_share: float = 0.0,
) -> PendingJob:
    """The queue's view of a job of the journal; `copies`: of all its attempts."""
    return PendingJob(
        job=record.id,
        request=submitted.request,
        candidates=submitted.candidates,
        submitted_at=record.submitted_at,
        priority=record.priority,
        fair_share=fair_share,
        estimate_s=submitted.job.time_limit_s,
        group=submitted.group,
        policy=submitted.policy,
        dependency=dependency,
        excluded_nodes=frozenset(nodes_to_exclude(submitted.restart_policy, copies)),
    )


def to_start(
    snapshot: Snapshot,
    queued: Sequence[PendingJob],
    running: Mapping[str, datetime | None],
    policy_of: Callable[[PendingJob], Policy],
    now: datetime,
    rng: Rng,
    queue: JobQueue = PRIORITY,
) -> Chosen:
    """The jobs of `queued` to start now. `running`: the caller's jobs by lease key, each with its end (None: unknown).

    The nodes are those where the snapshot has room; starting a job probes again, and may choose others. For each list,
    jobs of a higher priority come before those of a lower one.
    """
    ready = [one for one in queued if one.dependency.state is DependencyState.SATISFIED]
    policies = {_by(one): _ready_policy(policy_of(one), snapshot, one.request) for one in ready}
    capacity = QueueCapacity(snapshot, policies, now, rng)
    requests = {one.job: _request_of(one, snapshot, policies[_by(one)], now, rng) for one in ready}
    queued_job = [_waiting(one, requests[one.job], now) for one in sorted(ready, key=_by_arrival)]
    runs: list[Running[Taken]] = [Running(Leased(key=key), _ends_s(ends)) for key, ends in running.items()]
    starts = queue.to_start(queued_job, runs, capacity, now.timestamp())
    nodes = {start.job.key: start.held.nodes for start in starts if isinstance(start.held, JobAllocations)}
    left = [one for one in ready if one.job not in nodes]
    return Chosen(
        starts=tuple(nodes.items()),
        waits={
            **{one.job: one.dependency.reason for one in queued if one.dependency.state is DependencyState.WAITING},
            **_why_not(left, requests, capacity.charged(), policies, now, rng),
        },
        never={one.job: one.dependency.reason for one in queued if one.dependency.state is DependencyState.NEVER},
    )


def _by_arrival(one: PendingJob) -> tuple[float, datetime]:
    return -one.priority, one.submitted_at


def _by(one: PendingJob) -> str:
    return f"{one.group or ''}\0{one.policy or ''}"


def _ready_policy(policy: Policy, snapshot: Snapshot, request: Request) -> Policy:
    if policy.weights.fragmentation and not policy.workload.demands:
        return replace(policy, workload=seen_in(snapshot, request))
    return policy


def _request_of(one: PendingJob, snapshot: Snapshot, policy: Policy, now: datetime, rng: Rng) -> OwnRequest:
    """The request on its candidates, without the nodes to avoid if it fits on the others now."""
    if one.excluded_nodes:
        elsewhere = only_on(one.request, frozenset(one.candidates) - one.excluded_nodes, snapshot, _by(one))
        if place(snapshot, elsewhere, policy, now, rng).fits:
            return elsewhere
    return only_on(one.request, one.candidates, snapshot, _by(one))


def _waiting(one: PendingJob, request: OwnRequest, now: datetime) -> QueuedJob:
    return QueuedJob(
        key=one.job,
        request=request,
        since_s=min(one.submitted_at, now).timestamp(),  # clocks jump; a submit time in the future counts as now
        estimate_s=one.estimate_s,
        priority=one.priority,
        fair_share=one.fair_share,
    )


def _ends_s(ends: datetime | None) -> float:
    return math.inf if ends is None else ends.timestamp()


def _why_not(
    left: Sequence[PendingJob],
    requests: Mapping[int, OwnRequest],
    charged: Snapshot,
    policies: Mapping[str, Policy],
    now: datetime,
    rng: Rng,
) -> dict[int, str]:
    """The reason for each waiting job, with the jobs that start now charged; computed once for equal requests."""
    parsed: dict[tuple[Request, tuple[NodeName, ...]], str] = {}
    reasons = {}
    for one in left:
        alike = (replace(requests[one.job], name=""), one.candidates)
        if alike not in parsed:
            parsed[alike] = _reason(one, charged, policies[_by(one)], now, rng)
        reasons[one.job] = parsed[alike]
    return reasons


def _reason(one: PendingJob, charged: Snapshot, policy: Policy, now: datetime, rng: Rng) -> str:
    own = [answer for answer in charged.answers if answer.node in frozenset(one.candidates)]
    if not own:
        return _NOT_ASKED
    plan = place(replace(charged, answers=tuple(own)), one.request, policy, now, rng)
    return _OTHERS_FIRST if plan.fits else unfit_summary(plan, len(one.candidates))
