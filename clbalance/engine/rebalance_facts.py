"""The facts for `clbalance rebalance`: read from nodes and store, then planned on (docs/design/rebalance.md)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from clbalance.engine.fair_share import shares_of_waiting
from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.jobs.usage import usage_of
from clbalance.engine.services import Services
from clbalance.engine.sweep import sweep
from clbalance.errors import StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Snapshot, Unknown
from clbalance.model.job_record import JobRecord
from clbalance.policy.jobs.eligibility import eligibility
from clbalance.policy.jobs.record import copies_without_outcome, dependency, is_queued
from clbalance.policy.placement.charge import assume
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng
from clbalance.policy.queue.fair_share import account_of
from clbalance.policy.queue.queues import PRIORITY, JobQueue
from clbalance.policy.queue.start import Chosen, PendingJob, pending_job, to_start
from clbalance.policy.rebalance.candidates import JobInfo, departures, is_recent, jobs_on, running_job
from clbalance.policy.rebalance.levels import over_nodes
from clbalance.policy.rebalance.plan import plan_migrations
from clbalance.policy.rebalance.values import BalanceSettings, Departure, RebalancePlan, RunningJob

_ALL = 1_000_000
_REMEMBERED = 2000  # the newest jobs, searched for those that have just left a node


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePool:
    """Nodes that are balanced among themselves, with the policy by which jobs are placed on them."""

    name: str
    nodes: tuple[NodeName, ...]
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciledJob:
    """A job that changed when it was reconciled: its record before and now."""

    before: JobRecord
    now: JobRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceInputs:
    """All facts for the decision. `jobs`: those of this host that run, wait, or have left a node lately."""

    snapshot: Snapshot
    jobs: tuple[JobInfo, ...]
    departures: tuple[Departure, ...]
    reconciled: tuple[ReconciledJob, ...]

    @property
    def queued(self) -> Mapping[int, JobInfo]:
        """The queued jobs that may start, by number: none that is to be cancelled, or of which a copy may still run."""
        return {
            one.record.id: one
            for one in self.jobs
            if is_queued(one.record)
            and not one.record.cancel_requested
            and not copies_without_outcome(one.record, one.copies)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """The plan for a pool, and for each node in how many runs in a row it was over its limit."""

    pool: NodePool
    times_over: Mapping[NodeName, int]
    plan: RebalancePlan


def read_inputs(services: Services, nodes: Sequence[NodeName]) -> RebalanceInputs:
    """Reconcile the caller's jobs, then sweep."""
    before = services.journal.records(newest=_ALL)
    reconciled = {one.record.id: one.record for one in refresh(services, before)}
    settled = [ReconciledJob(before=one, now=reconciled[one.id]) for one in before if _differs(one, reconciled[one.id])]
    with services.transport.sessions() as sessions:
        snapshot = sweep(services, sessions, nodes)
    now = services.clock.now()
    active = {record.id: record for record in services.journal.records(newest=_ALL)}
    recent = {record.id: record for record in services.journal.records(over=True, newest=_REMEMBERED)}
    worth = (record for _, record in sorted((recent | active).items()) if is_recent(record, now))
    known = tuple(_job_infos(services, worth))
    return RebalanceInputs(snapshot=snapshot, jobs=known, departures=departures(known, now), reconciled=tuple(settled))


def choose_queued(
    services: Services,
    inputs: RebalanceInputs,
    policy_of: Callable[[PendingJob], Policy],
    rng: Rng,
    queue: JobQueue = PRIORITY,
) -> tuple[Chosen, RebalanceInputs]:
    """Choose queued jobs to start. The returned inputs have these jobs on their nodes already."""
    now = services.clock.now()
    points = _fair_share_points(services, inputs, now)
    queued = []
    for one in inputs.queued.values():
        before = dependency({job: services.journal.record(job) for job in one.submitted.restart_policy.after})
        may_start, share = eligibility(one.record, before, now), points.get(account_of(one.submitted), 0.0)
        queued.append(pending_job(one.record, one.submitted, one.copies, may_start, share))
    running = {one.record.key: one.ends_at for one in inputs.jobs if one.is_running}
    chosen = to_start(inputs.snapshot, queued, running, policy_of, now, rng, queue)
    snapshot, by_job = inputs.snapshot, {one.job: one for one in queued}
    for job, nodes in chosen.starts:
        snapshot = assume(snapshot, nodes, by_job[job].request, policy_of(by_job[job]))
    return chosen, replace(inputs, snapshot=snapshot)


def _fair_share_points(services: Services, inputs: RebalanceInputs, now: datetime) -> Mapping[str, float]:
    """By account; empty if they would change nothing."""
    if not services.fair_share:
        return {}
    waiting = [one.submitted for one in inputs.queued.values()]
    shares = shares_of_waiting(services.journal, waiting, now, services.half_life_s)
    return {account: services.fair_share * share.factor for account, share in shares.items()}


def plan_pools(
    services: Services,
    inputs: RebalanceInputs,
    pools: Sequence[NodePool],
    settings: BalanceSettings,
    *,
    uid: int,
    counts: bool,
) -> tuple[PoolPlan, ...]:
    """Each pool's plan; all plans together migrate `settings.max_moves` jobs at most.

    `counts`: this run is added to the stored count of each node that is over. Without it nothing is stored.
    """
    planned: list[PoolPlan] = []
    for pool in pools:
        left = settings.max_moves - sum(len(one.plan.migrations) for one in planned)
        snapshot = _part(inputs.snapshot, pool.nodes)
        now = services.clock.now()
        over = over_nodes(snapshot, inputs.departures, settings, pool.policy, now)
        times = _times_over(services, pool, over, counts=counts)
        jobs = _running_jobs(services, inputs, pool) if any(times[node] >= settings.confirm for node in over) else []
        plan = plan_migrations(
            snapshot, jobs, inputs.departures, times, replace(settings, max_moves=left), pool.policy, now, uid
        )
        planned.append(PoolPlan(pool=pool, times_over=times, plan=plan))
    return tuple(planned)


def our_uid(snapshot: Snapshot, otherwise: int) -> int:
    """Our user id on the nodes: only jobs of this user are migrated."""
    uids = (answer.reading.uid for answer in snapshot.answers if hasattr(answer, "reading"))
    return next((uid for uid in uids if not isinstance(uid, Unknown)), otherwise)


def _running_jobs(services: Services, inputs: RebalanceInputs, pool: NodePool) -> list[RunningJob]:
    """The caller's jobs in the pool, with the usage that their nodes report."""
    nodes = frozenset(pool.nodes)
    jobs = jobs_on(inputs.jobs, nodes)
    used = usage_of(services, [one.record for one in jobs]) if jobs else {}
    now = services.clock.now()
    return [running_job(one, used.get(one.record.id), nodes, now) for one in jobs]


def _times_over(
    services: Services, pool: NodePool, over: frozenset[NodeName], *, counts: bool
) -> Mapping[NodeName, int]:
    try:
        before = services.store.failure_streaks(pool.nodes)
        times = {node: before[node].over + 1 if node in over else 0 for node in pool.nodes}
        changed = {
            node: replace(before[node], over=count) for node, count in times.items() if before[node].over != count
        }
        if counts and changed:
            services.store.save_failure_streaks(services.clock.now(), changed)
    except StoreError as error:  # then no node is confirmed that needs more than one run
        services.listener.store_failed(error.message)
        return {node: int(node in over) for node in pool.nodes}
    return times


def _part(snapshot: Snapshot, nodes: Iterable[NodeName]) -> Snapshot:
    wanted = frozenset(nodes)
    return replace(snapshot, answers=tuple(answer for answer in snapshot.answers if answer.node in wanted))


def _job_infos(services: Services, records: Iterable[JobRecord]) -> Iterable[JobInfo]:
    for record in records:
        try:
            submitted = services.journal.submitted(record.id)
            copies, move = services.journal.copies(record.id), services.journal.migration_request_of(record.id)
        except StoreError as error:
            services.listener.store_failed(f"job {record.id}: {error.message}")
            continue
        if submitted is not None:
            yield JobInfo(record=record, submitted=submitted, copies=copies, migration=move)


def _differs(before: JobRecord, now: JobRecord) -> bool:
    return (before.state, before.attempt, before.queued) != (now.state, now.attempt, now.queued)
