"""From a sweep, the caller's jobs and what is remembered of both to a plan of moves, and what speaks against others."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from clbalance.model import NodeName, Snapshot
from clbalance.policy.policies import Policy
from clbalance.policy.rebalance.advice import advice_for
from clbalance.policy.rebalance.bound import lower_bound
from clbalance.policy.rebalance.levelling import Levelling
from clbalance.policy.rebalance.movers import Mover, movers_of
from clbalance.policy.rebalance.pool import Pool, is_over, score_of
from clbalance.policy.rebalance.search import Search
from clbalance.policy.rebalance.stays import why_it_stays
from clbalance.policy.rebalance.values import Departure, Levels, Movable, NodeLevel, RebalancePlan


def plan_moves(
    snapshot: Snapshot,
    jobs: Sequence[Movable],
    departures: Iterable[Departure],
    times_over: Mapping[NodeName, int],
    levels: Levels,
    policy: Policy,
    now: datetime,
    uid: int,
) -> RebalancePlan:
    """What the caller `uid` should move. `times_over` counts this sweep already."""
    pool = Pool.of(snapshot, departures, policy, now)
    by_number = sorted(jobs, key=lambda job: job.job)
    movers, hindered = movers_of(pool, by_number, levels, uid)
    over = frozenset(use.node for use in pool.members if not pool.stale and is_over(use.level, pool.mean, levels))
    confirmed = frozenset(node for node in over if times_over.get(node, 0) >= levels.confirm)
    field = Levelling(pool, movers, levels, policy, now)
    moves = Search(field, confirmed, pool, levels).moves()
    gone = {move.job for move in moves}
    told = {
        mover.job.job: why_it_stays(field, mover)
        for mover in movers
        if mover.job.node in confirmed and mover.job.job not in gone
    }
    capacity = [use.capacity for use in pool.members]
    return RebalancePlan(
        score_before=score_of([use.used for use in pool.members], capacity),
        score_after=score_of([field.used[use.node] for use in pool.members], capacity),
        mean=pool.mean,
        bound=_bound(pool, movers),
        moves=moves,
        levels=_node_levels(pool, field, over),
        stays=tuple(
            (job, hindered.get(job.job) or told[job.job])
            for job in by_number
            if job.node in confirmed and job.job not in gone
        ),
        advice=advice_for(pool.snapshot.answers, confirmed, uid),
    )


def _bound(pool: Pool, movers: Sequence[Mover]) -> float:
    fixed = {use.node: use.used for use in pool.members}
    for mover in movers:
        fixed[mover.job.node] -= mover.weight
    return lower_bound(list(fixed.values()), [use.capacity for use in pool.members], [one.weight for one in movers])


def _node_levels(pool: Pool, field: Levelling, over: frozenset[NodeName]) -> tuple[NodeLevel, ...]:
    known = [
        NodeLevel(
            node=use.node,
            before=use.level,
            after=field.level.get(use.node, use.level),
            cpus=use.used,
            over=use.node in over,
        )
        for use in (*pool.members, *pool.drained)
    ]
    unknown = [NodeLevel(node=node, before=why, after=why, cpus=0.0, over=False) for node, why in pool.unknown]
    return tuple(sorted((*known, *unknown), key=lambda one: one.node))
