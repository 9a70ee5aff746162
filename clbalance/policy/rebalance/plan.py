"""From a sweep and the caller's jobs to a plan: migrations, jobs that stay with reasons, and advice. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from clbalance.model import Allocation, Answer, Lease, Measured, NodeName, Snapshot, Unknown
from clbalance.policy.placement.policies import Policy
from clbalance.policy.rebalance.candidates import MigrationCandidate, candidates_of
from clbalance.policy.rebalance.leveling import Balancing
from clbalance.policy.rebalance.levels import EPSILON, Pool, is_over, lower_bound, score_of
from clbalance.policy.rebalance.search import Search
from clbalance.policy.rebalance.values import Advice, BalanceSettings, Departure, NodeLevel, RebalancePlan, RunningJob
from clbalance.units import counted


def plan_migrations(
    snapshot: Snapshot,
    jobs: Sequence[RunningJob],
    departures: Iterable[Departure],
    times_over: Mapping[NodeName, int],
    settings: BalanceSettings,
    policy: Policy,
    now: datetime,
    uid: int,
) -> RebalancePlan:
    """The plan for user `uid`. `times_over`: runs in a row in which a node was overloaded, this sweep included."""
    pool = Pool.of(snapshot, departures, policy, now)
    by_number = sorted(jobs, key=lambda job: job.job)
    candidates, hindered = candidates_of(pool, by_number, settings, uid)
    over = frozenset(use.node for use in pool.members if not pool.stale and is_over(use.level, pool.mean, settings))
    confirmed = frozenset(node for node in over if times_over.get(node, 0) >= settings.confirm)
    field = Balancing(pool, candidates, settings, policy, now)
    moves = Search(field, confirmed, pool, settings).migrations()
    gone = {move.job for move in moves}
    parsed = {
        candidate.job.job: why_not_migrated(field, candidate)
        for candidate in candidates
        if candidate.job.node in confirmed and candidate.job.job not in gone
    }
    capacity = [use.capacity for use in pool.members]
    return RebalancePlan(
        score_before=score_of([use.used for use in pool.members], capacity),
        score_after=score_of([field.used[use.node] for use in pool.members], capacity),
        mean=pool.mean,
        bound=_bound(pool, candidates),
        migrations=moves,
        levels=_node_levels(pool, field, over),
        stays=tuple(
            (job, hindered.get(job.job) or parsed[job.job])
            for job in by_number
            if job.node in confirmed and job.job not in gone
        ),
        advice=advice_for(pool.snapshot.answers, confirmed, uid),
    )


def missing_confirmations(src: NodeName, times_over: Mapping[NodeName, int], confirm: int) -> int:
    """How many further runs must find nodes overloaded before jobs are moved off `src`.

    `times_over` as in `plan_migrations`; a node must be overloaded `confirm` times in a row. A source that is not
    overloaded becomes so by the plan, with the moves that are confirmed last.
    """
    missing = {node: max(0, confirm - times) for node, times in times_over.items() if times}
    return missing.get(src, max(missing.values(), default=0))


def _bound(pool: Pool, candidates: Sequence[MigrationCandidate]) -> float:
    fixed = {use.node: use.used for use in pool.members}
    for candidate in candidates:
        fixed[candidate.job.node] -= candidate.weight
    return lower_bound(list(fixed.values()), [use.capacity for use in pool.members], [one.weight for one in candidates])


def _node_levels(pool: Pool, field: Balancing, over: frozenset[NodeName]) -> tuple[NodeLevel, ...]:
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
    unknown = [NodeLevel(node=node, before=reason, after=reason, cpus=0.0, over=False) for node, reason in pool.unknown]
    return tuple(sorted((*known, *unknown), key=lambda one: one.node))


# -- why a job on an overloaded node stays


def why_not_migrated(field: Balancing, candidate: MigrationCandidate) -> str:
    """The reason at the end of the plan: first reasons against any migration of it, then against each target."""
    src, weight = candidate.job.node, candidate.weight
    if weight <= EPSILON:
        return "it has no cpus allocated and uses none"
    targets = [node for _, node in field.targets(src)]
    if not targets:
        return "no other node is less loaded"
    # Among nodes of equal capacity the lowest level is best.
    lowest = {field.capacity[node]: node for node in reversed(targets)}
    if all(field.gain_of_migration(src, node, weight) is None for node in lowest.values()):
        return "moving it would gain less than `--min-gain`"
    worth = [node for node in targets if field.gain_of_migration(src, node, weight) is not None]
    new = [node for node in worth if field.may(candidate, node)]
    if not new:
        return "it has run before on every node where moving it would help"
    meant = [node for node in new if node not in candidate.job.not_committed]
    if not meant:
        return "the nodes where moving it would help are not among those it was submitted for"
    return _why_it_fits_nowhere(field, candidate, meant)


def _why_it_fits_nowhere(field: Balancing, candidate: MigrationCandidate, meant: Sequence[NodeName]) -> str:
    reasons = [None if (unfit := field.what_if.unfit(candidate, node)) is None else unfit.reason for node in meant]
    if None in reasons:
        return "this run may move no more jobs (`--max-moves`)"
    more = f", and {counted(len(meant) - 1, 'other node')}" if len(meant) > 1 else ""
    return f"it fits on no less loaded node: {meant[0]} ({reasons[0]}){more}"


# -- advice for other users about overloaded nodes; never carried out

_MOST_OF_A_NODE: Final = 3
_MOST: Final = 20


def advice_for(answers: Iterable[Answer], over: frozenset[NodeName], uid: int) -> tuple[Advice, ...]:
    """Advice about the largest leases of other users on these nodes, by owner, node and job; limited in number."""
    found = [one for answer in answers if answer.node in over for one in _of_node(answer, uid)]
    largest = sorted(found, key=lambda one: (-one.cpus, one.uid, one.node, one.name))[:_MOST]
    return tuple(sorted(largest, key=lambda one: (one.uid, one.node, -one.cpus, one.name)))


def _of_node(answer: Answer, uid: int) -> Iterator[Advice]:
    leases = answer.reading.leases if isinstance(answer, Measured) else ()
    of_others = [
        (lease, lease.allocation)
        for lease in (() if isinstance(leases, Unknown) else leases)
        if lease.uid != uid and isinstance(lease.allocation, Allocation) and lease.allocation.cpus > 0.0
    ]
    of_others.sort(key=lambda one: (-one[1].cpus, one[0].uid, one[1].name, one[0].key))
    for lease, allocation in of_others[:_MOST_OF_A_NODE]:
        yield _advice(answer.node, lease, allocation)


def _advice(node: NodeName, lease: Lease, allocation: Allocation) -> Advice:
    name = allocation.name or f"{lease.key[:8]}"
    text = (
        f"job {name} takes {counted(allocation.cpus, 'cpu')} of {node}: if it was submitted with `--requeue` or"
        " `--checkpoint`, its owner's `clbalance rebalance --apply` may move it; else submit the next one so"
    )
    return Advice(uid=lease.uid, node=node, name=name, cpus=allocation.cpus, text=text)
