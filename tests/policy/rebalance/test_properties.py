"""What holds of every plan."""

import os
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Measured, Qos, Snapshot, Unknown
from clbalance.policy.placement.charge import allocation_for, with_allocation
from clbalance.policy.placement.filters import filter_input, unfit_reason
from clbalance.policy.placement.load import NodeLoad
from clbalance.policy.placement.policies import LEAST, policy_named
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.rebalance.candidates import MigrationPriority
from clbalance.policy.rebalance.values import BalanceSettings, PlannedMigration, RebalancePlan, RunningJob
from tests.policy.build import NOW, drain, silent

from .cases import EVERYTHING, Cluster, a_job, planned, takes

patient = settings(deadline=None, max_examples=int(os.environ.get("CLBALANCE_EXAMPLES", "25")))
NO_THRESHOLD = policy_named("least", thresholds=Thresholds(r1m_per_cpu=None))
WEIGHTS = st.sampled_from([0.3, 0.5, 1.0, 1.0, 1.5, 2.0, 3.0])
LEVELS = st.builds(
    BalanceSettings,
    high=st.sampled_from([None, None, 0.8]),
    low=st.sampled_from([None, None, 0.5]),
    deviation=st.sampled_from([None, 0.0, 0.1, 0.25]),
    min_gain=st.sampled_from([0.0, 0.01, 0.1]),
    max_moves=st.integers(0, 6),
    confirm=st.just(1),
    cooldown_s=st.just(900.0),
    guaranteed=st.booleans(),
)


@st.composite
def jobs_on(draw: st.DrawFn, number: int, names: list[str]) -> RunningJob:
    qos = draw(st.sampled_from([Qos.BEST_EFFORT, Qos.BURSTABLE, Qos.BURSTABLE, Qos.GUARANTEED]))
    cpus = draw(WEIGHTS)
    on = draw(st.sampled_from(names))
    return a_job(
        number,
        on,
        0.0 if qos is Qos.BEST_EFFORT else cpus,
        used=draw(st.sampled_from([None, 0.5, cpus, cpus + 1.0])),
        qos=qos,
        earlier_nodes=frozenset(draw(st.sets(st.sampled_from(names), max_size=1)) - {on}),
        migrated_s_ago=draw(st.sampled_from([None, None, 10.0, 1000.0])),
        why_not_migratable=draw(st.sampled_from(["", "", "", "not marked"])),
    )


@st.composite
def clusters(draw: st.DrawFn, *, most_nodes: int = 5, most_jobs: int = 10) -> Cluster:
    """Often with all jobs on few of the nodes, sometimes with more promised than there is."""
    names = [f"n{at}" for at in range(draw(st.integers(2, most_nodes)))]
    crowded = names[: draw(st.integers(1, len(names)))]
    return Cluster(
        cpus={name: draw(st.sampled_from([4, 4, 8])) for name in names},
        jobs=tuple(draw(jobs_on(number, crowded)) for number in range(draw(st.integers(1, most_jobs)))),
        foreign={name: draw(st.sampled_from([0.0, 0.0, 0.3, 1.0, 2.0])) for name in names},
        factor={name: draw(st.sampled_from([1.0, 1.0, 2.0])) for name in names},
    )


def carried(snapshot: Snapshot, job: RunningJob, move: PlannedMigration) -> Snapshot:
    """As the nodes are when it has gone: its lease is gone from one, and another has promised to take it."""
    answers = []
    for answer in snapshot.answers:
        assert isinstance(answer, Measured)
        leases = answer.reading.leases
        assert not isinstance(leases, Unknown)
        kept = tuple(one for one in leases if one.key != job.key)
        gone = len(kept) < len(leases)
        queue = answer.reading.run_queue
        assert not isinstance(queue, Unknown)
        less = replace(queue, r1m=max(0.0, queue.r1m - takes(job))) if gone else queue
        answers.append(replace(answer, reading=replace(answer.reading, leases=kept, run_queue=less)))
    without = replace(snapshot, answers=tuple(answers))
    return with_allocation(without, [move.dst], lambda answer: allocation_for(job.request, answer, LEAST))


def largest(plan: RebalancePlan) -> tuple[float, float]:
    before = [one.before for one in plan.levels if isinstance(one.before, float)]
    after = [one.after for one in plan.levels if isinstance(one.after, float)]
    return max(before), max(after)


def shows_more_than_before(cluster: Cluster, plan: RebalancePlan) -> bool:
    """What a moved job used above its promise may have been hidden behind what others left unused."""
    moved = {move.job for move in plan.migrations}
    return any(job.job in moved and takes(job) > job.request.cpus for job in cluster.jobs)


@patient
@given(clusters(), LEVELS)
def test_no_job_goes_where_place_would_not_put_it_when_its_turn_comes(
    cluster: Cluster, settings: BalanceSettings
) -> None:
    now = cluster.swept()
    jobs = {job.job: job for job in cluster.jobs}
    for move in planned(now, cluster.jobs, settings).migrations:
        job = jobs[move.job]
        target = next(answer for answer in now.answers if answer.node == move.dst)
        found = unfit_reason(target, filter_input(now, replace(job.request, name=""), LEAST, NOW))
        assert isinstance(found, NodeLoad), found
        now = carried(now, job, move)


@patient
@given(clusters(), LEVELS)
def test_only_jobs_that_may_be_moved_are_and_each_once_and_never_back(
    cluster: Cluster, settings: BalanceSettings
) -> None:
    plan = planned(cluster.swept(), cluster.jobs, settings)
    jobs = {job.job: job for job in cluster.jobs}
    assert len(plan.migrations) <= settings.max_moves
    assert all(count == 1 for count in Counter(move.job for move in plan.migrations).values())
    for move in plan.migrations:
        job = jobs[move.job]
        assert not job.why_not_migratable
        assert job.migrated_s_ago is None or job.migrated_s_ago >= settings.cooldown_s
        assert move.src == job.node != move.dst
        assert move.dst not in job.earlier_nodes
        assert job.qos is not Qos.GUARANTEED or settings.guaranteed


@patient
@given(clusters(), LEVELS)
def test_every_move_gains_enough_and_nothing_becomes_worse(cluster: Cluster, settings: BalanceSettings) -> None:
    plan = planned(cluster.swept(), cluster.jobs, settings)
    assert all(move.gain >= settings.min_gain - 1e-6 and move.gain > 0.0 for move in plan.migrations)
    before, after = largest(plan)
    assert after <= before + 1e-9
    assert plan.score_after <= plan.score_before + 1e-6
    assert plan.bound <= after + 1e-6


@patient
@given(clusters(), LEVELS, st.randoms(use_true_random=False))
def test_the_order_of_nodes_and_jobs_does_not_matter(
    cluster: Cluster, settings: BalanceSettings, shuffler: object
) -> None:
    snapshot = cluster.swept()
    answers, jobs = list(snapshot.answers), list(cluster.jobs)
    shuffler.shuffle(answers)  # type: ignore[attr-defined]
    shuffler.shuffle(jobs)  # type: ignore[attr-defined]
    assert planned(replace(snapshot, answers=tuple(answers)), jobs, settings) == planned(
        snapshot, cluster.jobs, settings
    )


@patient
@given(clusters(), LEVELS)
def test_what_was_planned_is_a_fixed_point(cluster: Cluster, settings: BalanceSettings) -> None:
    enough = replace(settings, max_moves=100)
    plan = planned(cluster.swept(), cluster.jobs, enough)
    then = cluster.after(plan.migrations)
    assert shows_more_than_before(cluster, plan) or planned(then.swept(), then.jobs, enough).migrations == ()


@patient
@given(clusters(), LEVELS)
def test_runs_of_few_moves_come_to_an_end(cluster: Cluster, settings: BalanceSettings) -> None:
    few = replace(settings, max_moves=max(1, settings.max_moves))
    for _ in range(len(cluster.jobs) + 1):
        plan = planned(cluster.swept(), cluster.jobs, few)
        if not plan.migrations:
            return
        cluster = cluster.after(plan.migrations)
    raise AssertionError("it goes on")


@patient
@given(clusters(), LEVELS)
def test_nodes_are_as_the_plan_said_once_it_is_carried_out(cluster: Cluster, settings: BalanceSettings) -> None:
    plan = planned(cluster.swept(), cluster.jobs, settings)
    then = cluster.after(plan.migrations)
    again = planned(then.swept(), then.jobs, settings)
    if shows_more_than_before(cluster, plan):
        return
    assert [round(one.before, 3) for one in again.levels if isinstance(one.before, float)] == [
        round(one.after, 3) for one in plan.levels if isinstance(one.after, float)
    ]


def turn_of(job: RunningJob) -> MigrationPriority:
    above = (job.cpus_used or 0.0) > job.request.cpus
    if job.qos is Qos.BEST_EFFORT:
        return MigrationPriority.BEST_EFFORT
    if job.qos is Qos.GUARANTEED:
        return MigrationPriority.GUARANTEED
    return MigrationPriority.ABOVE_REQUEST if above else MigrationPriority.BURSTABLE


@patient
@given(clusters(), LEVELS)
def test_a_single_move_takes_nobody_while_one_whose_turn_is_first_could_go(
    cluster: Cluster, settings: BalanceSettings
) -> None:
    one = replace(settings, max_moves=1)
    moves = planned(cluster.swept(), cluster.jobs, one).migrations
    for move in moves:
        mine = next(job for job in cluster.jobs if job.job == move.job)
        first = tuple(
            job
            if turn_of(job) < turn_of(mine) and job.node == mine.node
            else replace(job, why_not_migratable="not asked")
            for job in cluster.jobs
        )
        assert planned(cluster.swept(), first, one).migrations == ()


@settings(patient, derandomize=True)
@given(clusters(most_nodes=3, most_jobs=6))
def test_on_small_pools_the_largest_level_is_within_a_tenth_of_the_best(cluster: Cluster) -> None:
    """Of all that can be reached by moving each job once at most, in any order that leaves room on the way."""
    free = replace(
        cluster, jobs=tuple(replace(job, earlier_nodes=frozenset(), migrated_s_ago=None) for job in _that_fit(cluster))
    )
    plan = planned(free.swept(), free.jobs, EVERYTHING, policy=NO_THRESHOLD)
    assert free.after(plan.migrations).largest() <= 1.1 * free.best() + 1e-6


def _that_fit(cluster: Cluster) -> list[RunningJob]:
    left: dict[str, float] = dict(cluster.cpus)
    kept = []
    for job in cluster.jobs:
        if job.request.cpus <= left[job.node]:
            left[job.node] -= job.request.cpus
            kept.append(replace(job, cpus_used=max(job.request.cpus, job.cpus_used or 0.0)))
    return kept


@patient
@given(clusters(), LEVELS)
def test_drained_and_silent_nodes_give_nothing_and_take_nothing(cluster: Cluster, settings: BalanceSettings) -> None:
    answers = []
    for at, answer in enumerate(cluster.swept().answers):
        assert isinstance(answer, Measured)
        drained = replace(answer, reading=replace(answer.reading, drains=(drain(),)))
        answers.append(drained if at == 0 else silent(answer.node) if at == 1 else answer)
    snapshot = replace(cluster.swept(), answers=tuple(answers))
    for move in planned(snapshot, cluster.jobs, settings).migrations:
        assert not {move.src, move.dst} & {"n0", "n1"}
