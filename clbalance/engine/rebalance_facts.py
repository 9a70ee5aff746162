"""`clbalance rebalance`: what is asked of nodes and memory, and in what order (docs/design/rebalance.md)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.jobs.usage import usage_of
from clbalance.engine.services import Services
from clbalance.engine.sweep import sweep
from clbalance.errors import StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Snapshot, Unknown
from clbalance.model.job_record import JobRecord
from clbalance.policy.jobs.record import dependency, is_queued
from clbalance.policy.placement.charge import assume
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng
from clbalance.policy.queue.start import Chosen, PendingJob, pending_job, to_start
from clbalance.policy.rebalance.candidates import Known, departures, is_worth_knowing, movable, on
from clbalance.policy.rebalance.levels import over_nodes
from clbalance.policy.rebalance.plan import plan_migrations
from clbalance.policy.rebalance.values import Departure, Levels, Movable, RebalancePlan

_ALL = 1_000_000
_REMEMBERED = 2000  # newest jobs that are looked through for what has just left a node


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Nodes that are leveled among themselves, as work is placed on them."""

    name: str
    nodes: tuple[NodeName, ...]
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A job of which something was found out, and as what it stands now."""

    before: JobRecord
    now: JobRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is decided on; `known`: jobs of this host that run, wait, or have left a node lately."""

    snapshot: Snapshot
    known: tuple[Known, ...]
    departures: tuple[Departure, ...]
    settled: tuple[Settled, ...]

    @property
    def queued(self) -> Mapping[int, Known]:
        """Those that wait for us, by number."""
        return {one.record.id: one for one in self.known if is_queued(one.record)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """A pool, how often in a row its nodes have been over, and what is to be moved."""

    pool: Pool
    times_over: Mapping[NodeName, int]
    plan: RebalancePlan


def facts_of(services: Services, nodes: Sequence[NodeName]) -> Facts:
    """Look after the caller's jobs, then sweep."""
    before = services.journal.records(newest=_ALL)
    reconciled = {one.record.id: one.record for one in refresh(services, before)}
    settled = [Settled(before=one, now=reconciled[one.id]) for one in before if _differs(one, reconciled[one.id])]
    with services.transport.sessions() as sessions:
        snapshot = sweep(services, sessions, nodes)
    now = services.clock.now()
    active = {record.id: record for record in services.journal.records(newest=_ALL)}
    recent = {record.id: record for record in services.journal.records(over=True, newest=_REMEMBERED)}
    worth = (record for _, record in sorted((recent | active).items()) if is_worth_knowing(record, now))
    known = tuple(_known(services, worth))
    return Facts(snapshot=snapshot, known=known, departures=departures(known, now), settled=tuple(settled))


def choose_queued(
    services: Services, facts: Facts, policy_of: Callable[[PendingJob], Policy], rng: Rng
) -> tuple[Chosen, Facts]:
    """Who of those that wait is started, and the facts with these on their nodes."""
    waiting = facts.queued
    queued = [
        pending_job(
            one.record,
            one.submitted,
            one.copies,
            dependency({job: services.journal.record(job) for job in one.submitted.restart_policy.after}),
        )
        for one in waiting.values()
    ]
    running = {one.record.key: one.ends_at for one in facts.known if one.is_running}
    chosen = to_start(facts.snapshot, queued, running, policy_of, services.clock.now(), rng)
    snapshot, by_job = facts.snapshot, {one.job: one for one in queued}
    for job, nodes in chosen.starts:
        snapshot = assume(snapshot, nodes, by_job[job].request, policy_of(by_job[job]))
    return chosen, replace(facts, snapshot=snapshot)


def plan_pools(
    services: Services, facts: Facts, pools: Sequence[Pool], levels: Levels, *, uid: int, counts: bool
) -> tuple[PoolPlan, ...]:
    """Each pool's plan; all of them together move `levels.max_moves` jobs at most.

    `counts`: a node that is over has been so once more from now on; else nothing is changed by looking.
    """
    planned: list[PoolPlan] = []
    for pool in pools:
        left = levels.max_moves - sum(len(one.plan.migrations) for one in planned)
        snapshot = _part(facts.snapshot, pool.nodes)
        now = services.clock.now()
        over = over_nodes(snapshot, facts.departures, levels, pool.policy, now)
        times = _times_over(services, pool, over, counts=counts)
        jobs = _movables(services, facts, pool) if any(times[node] >= levels.confirm for node in over) else []
        plan = plan_migrations(
            snapshot, jobs, facts.departures, times, replace(levels, max_moves=left), pool.policy, now, uid
        )
        planned.append(PoolPlan(pool=pool, times_over=times, plan=plan))
    return tuple(planned)


def our_uid(snapshot: Snapshot, otherwise: int) -> int:
    """Who we are on the nodes, whose jobs are ours to move."""
    uids = (answer.reading.uid for answer in snapshot.answers if hasattr(answer, "reading"))
    return next((uid for uid in uids if not isinstance(uid, Unknown)), otherwise)


def _movables(services: Services, facts: Facts, pool: Pool) -> list[Movable]:
    """The caller's jobs there; what they use is asked of their nodes."""
    nodes = frozenset(pool.nodes)
    jobs = on(facts.known, nodes)
    used = usage_of(services, [one.record for one in jobs]) if jobs else {}
    now = services.clock.now()
    return [movable(one, used.get(one.record.id), nodes, now) for one in jobs]


def _times_over(services: Services, pool: Pool, over: frozenset[NodeName], *, counts: bool) -> Mapping[NodeName, int]:
    try:
        before = services.store.failure_streaks(pool.nodes)
        times = {node: before[node].over + 1 if node in over else 0 for node in pool.nodes}
        changed = {
            node: replace(before[node], over=count) for node, count in times.items() if before[node].over != count
        }
        if counts and changed:
            services.store.save_failure_streaks(services.clock.now(), changed)
    except StoreError as error:  # then nothing is confirmed that needs more than one run
        services.listener.forgot(error.message)
        return {node: int(node in over) for node in pool.nodes}
    return times


def _part(snapshot: Snapshot, nodes: Iterable[NodeName]) -> Snapshot:
    wanted = frozenset(nodes)
    return replace(snapshot, answers=tuple(answer for answer in snapshot.answers if answer.node in wanted))


def _known(services: Services, records: Iterable[JobRecord]) -> Iterable[Known]:
    for record in records:
        try:
            submitted = services.journal.submitted(record.id)
            copies, move = services.journal.copies(record.id), services.journal.migration_request_of(record.id)
        except StoreError as error:
            services.listener.forgot(f"job {record.id}: {error.message}")
            continue
        if submitted is not None:
            yield Known(record=record, submitted=submitted, copies=copies, migration=move)


def _differs(before: JobRecord, now: JobRecord) -> bool:
    return (before.state, before.attempt, before.queued) != (now.state, now.attempt, now.queued)
