"""Who of the queue is started: by priority and age, on its own candidates, never over what there is."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Allocation, Answer, Lease, Measured, NodeName, Request, Snapshot, Unknown
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.record import Dependency, DependencyState, dependency
from clbalance.policy.placement.policies import Policy, policy_named
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.queue.free_capacity import without_lease
from clbalance.policy.queue.queues import WAITING_LISTS
from clbalance.policy.queue.start import Chosen, PendingJob, to_start
from tests.policy.build import NOW, UPTIME_S, node, silent, sweep
from tests.policy.jobs.test_afterwards import record
from tests.policy.placement.test_place import patient

NONE = Thresholds(r1m_per_cpu=None, mem_available_pct=None)
OPEN = policy_named("least", thresholds=NONE)


def queued(
    job: int,
    *,
    cpus: float = 1.0,
    on: Sequence[str] = ("n1", "n2"),
    waited_s: float = 60.0,
    priority: float = 0.0,
    estimate_s: float | None = None,
    group: str | None = None,
    pick: int = 1,
    excluded_nodes: Sequence[str] = (),
) -> PendingJob:
    return PendingJob(
        job=job,
        request=Request(cpus=cpus, pick=pick),
        candidates=tuple(map(NodeName, on)),
        submitted_at=NOW - timedelta(seconds=waited_s),
        priority=priority,
        estimate_s=estimate_s,
        group=group,
        excluded_nodes=frozenset(map(NodeName, excluded_nodes)),
    )


def sweep_and_place(
    *jobs: PendingJob,
    nodes: Sequence[Answer] = (),
    running: dict[str, datetime | None] | None = None,
    policies: dict[str | None, Policy] | None = None,
    seed: int = 0,
    queue: str = "priority",
) -> Chosen:
    snapshot = sweep(*(nodes or (node("n1"), node("n2"))))
    by = {None: OPEN, **(policies or {})}
    return to_start(snapshot, jobs, running or {}, lambda one: by[one.group], NOW, Random(seed), WAITING_LISTS[queue])


def mine(key: str, cpus: float, *, age_s: float = 600.0) -> Lease:
    return Lease(key=key, attempt=1, uid=1000, allocation=Allocation(cpus=cpus, uptime_s=UPTIME_S - age_s))


def started(chosen: Chosen) -> list[int]:
    return [job for job, _ in chosen.starts]


@given(st.integers(0, 50))
def test_a_job_does_not_go_back_to_where_it_failed_while_others_fit(seed: int) -> None:
    failed_on_the_emptier = queued(1, excluded_nodes=["n1"])
    nodes = (node("n1"), node("n2", r1m=1.0))
    assert sweep_and_place(queued(1), nodes=nodes, seed=seed).starts == ((1, ("n1",)),)
    assert sweep_and_place(failed_on_the_emptier, nodes=nodes, seed=seed).starts == ((1, ("n2",)),)


def test_where_nothing_else_fits_a_job_goes_back_to_where_it_failed() -> None:
    assert sweep_and_place(queued(1, cpus=2, excluded_nodes=["n1"]), nodes=(node("n1"), silent("n2"))).starts == (
        (1, ("n1",)),
    )
    assert sweep_and_place(queued(1, pick=2, excluded_nodes=["n1"])).starts[0][0] == 1


def test_the_more_urgent_is_first_and_the_older_of_equals() -> None:
    jobs = [queued(1, cpus=4), queued(2, cpus=4, priority=2.0), queued(3, cpus=4, waited_s=90.0)]
    assert started(sweep_and_place(*jobs)) == [2, 3]
    assert sweep_and_place(*jobs).waits[1].startswith("0/2 nodes fit: 2 ")


@pytest.mark.parametrize("queue", WAITING_LISTS)
def test_in_every_list_the_more_urgent_is_first(queue: str) -> None:
    jobs = [queued(1, cpus=4, waited_s=90.0, estimate_s=10.0), queued(2, cpus=4, priority=20.0, estimate_s=3600.0)]
    assert started(sweep_and_place(*jobs, nodes=[node("n1")], queue=queue)) == [2]


@pytest.mark.parametrize(("queue", "first"), [("easy", 1), ("fcfs", 1), ("sjf", 2)])
def test_of_equals_the_list_says_which_is_first(queue: str, first: int) -> None:
    jobs = [queued(2, cpus=4, estimate_s=10.0), queued(1, cpus=4, waited_s=90.0, estimate_s=3600.0)]
    assert started(sweep_and_place(*jobs, nodes=[node("n1")], queue=queue)) == [first]


def test_with_age_any_job_comes_first() -> None:
    assert started(
        sweep_and_place(queued(1, cpus=4, waited_s=6 * 3600.0), queued(2, cpus=4, priority=5.0), nodes=[node("n1")])
    ) == [1]


def test_a_clock_that_jumped_makes_nobody_younger_than_new() -> None:
    jobs = [queued(1, cpus=4, waited_s=-9e5, priority=1.0), queued(2, cpus=4, waited_s=0.0)]
    assert started(sweep_and_place(*jobs, nodes=[node("n1")])) == [1]


def test_a_job_is_placed_on_its_own_candidates_alone() -> None:
    chosen = sweep_and_place(queued(1, on=["n2"]), queued(2, on=["n9"]), queued(3, on=["n1", "n9"]))
    assert dict(chosen.starts) == {1: ("n2",), 3: ("n1",)}
    assert chosen.waits == {2: "none of its nodes was probed"}


def test_nodes_that_were_not_asked_are_counted_beside_those_that_were() -> None:
    assert sweep_and_place(queued(1, cpus=9, on=("n1", "n9"))).waits == {
        1: "0/2 nodes fit: 1 not asked, 1 too few cpus free"
    }


def test_a_node_that_is_excluded_by_name_stays_so() -> None:
    one = queued(1)
    one = replace(one, request=replace(one.request, excluded=frozenset({NodeName("n1")})))
    assert sweep_and_place(one).starts == ((1, ("n2",)),)


def test_each_is_placed_by_the_policy_of_its_group_and_all_of_them_count() -> None:
    policies: dict[str | None, Policy] = {name: policy_named(name, thresholds=NONE) for name in ("pack", "spread")}
    nodes = [node("n1", leases=(mine("x", 1.0),)), node("n2")]
    first = sweep_and_place(queued(1, group="pack"), queued(2, group="spread"), nodes=nodes, policies=policies)
    assert dict(first.starts) == {1: ("n1",), 2: ("n2",)}
    full = sweep_and_place(
        *(queued(job, cpus=3, group=name) for job, name in enumerate(policies)), nodes=nodes, policies=policies
    )
    assert len({nodes for _, nodes in full.starts}) == 2


def test_a_large_job_is_not_passed_for_ever() -> None:
    """Nobody knows when what runs will end; who would take its place has to wait."""
    nodes = [node("n1", r1m=3.0, leases=(mine("x", 3.0),))]
    chosen = sweep_and_place(queued(1, cpus=4, priority=1.0), queued(2), nodes=nodes, running={"x": None})
    assert chosen.starts == ()
    assert chosen.waits[2] == "its nodes are reserved for a job ahead of it (backfill)"


def test_who_is_over_in_time_may_pass() -> None:
    nodes = [node("n1", r1m=3.0, leases=(mine("x", 3.0),))]
    running: dict[str, datetime | None] = {"x": NOW + timedelta(seconds=100)}
    large = queued(1, cpus=4, priority=1.0)
    assert started(sweep_and_place(large, queued(2, estimate_s=90.0), nodes=nodes, running=running)) == [2]
    assert started(sweep_and_place(large, queued(2, estimate_s=110.0), nodes=nodes, running=running)) == []


def test_one_that_does_not_even_fit_when_all_of_ours_has_ended_keeps_nobody_waiting() -> None:
    assert started(sweep_and_place(queued(1, cpus=64, priority=9.0), queued(2))) == [2]


def test_what_a_job_leaves_behind_is_its_promise_and_the_load_it_shows() -> None:
    before = sweep(node("n1", r1m=3.0, leases=(mine("x", 2.0), mine("y", 1.0))), node("n2", r1m=1.0))
    one, other = (without_lease(answer, "x") for answer in before.answers)
    assert isinstance(one, Measured)
    assert not isinstance(one.reading.run_queue, Unknown)
    assert one.reading.run_queue.r1m == pytest.approx(1.0, abs=0.01)
    assert one.reading.leases == (mine("y", 1.0),)
    assert other == before.answers[1]


def test_a_silent_node_takes_nobody() -> None:
    assert sweep_and_place(queued(1), nodes=[silent("n1"), node("n2", cpus=None)]).starts == ()


def before(**changes: object) -> JobRecord:
    return replace(record(), **changes)  # type: ignore[arg-type]  # a test's own table


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, Dependency(state=DependencyState.SATISFIED)),
        ({3: before(state=JobState.COMPLETED)}, Dependency(state=DependencyState.SATISFIED)),
        (
            {3: before(state=JobState.COMPLETED), 4: before()},
            Dependency(state=DependencyState.WAITING, reason="after job 4"),
        ),
        (
            {3: before(state=JobState.RUNNING), 4: before()},
            Dependency(state=DependencyState.WAITING, reason="after job 3, 4"),
        ),
        (
            {3: before(), 4: before(state=JobState.TIMEOUT, reason="too long")},
            Dependency(state=DependencyState.NEVER, reason="after job 4, which is TIMEOUT: too long"),
        ),
        ({3: None}, Dependency(state=DependencyState.NEVER, reason="after job 3, which is not remembered")),
    ],
)
def test_whose_turn_it_is(known: dict[int, JobRecord | None], expected: Dependency) -> None:
    assert dependency(known) == expected


def test_whose_turn_it_is_not_is_not_started() -> None:
    later, never = (
        Dependency(state=DependencyState.WAITING, reason="after job 9"),
        Dependency(state=DependencyState.NEVER, reason="after job 8, which is FAILED"),
    )
    chosen = sweep_and_place(replace(queued(1), dependency=later), replace(queued(2), dependency=never), queued(3))
    assert (started(chosen), chosen.waits, chosen.never) == ([3], {1: later.reason}, {2: never.reason})


NODES = st.lists(
    st.builds(
        lambda at, cpus, load, held: node(
            f"n{at}", cpus=cpus, r1m=load, leases=tuple(mine(f"k{at}-{n}", c) for n, c in enumerate(held))
        ),
        st.just(0),
        st.sampled_from([2, 4, 8]),
        st.sampled_from([0.0, 0.5, 3.0]),
        st.lists(st.sampled_from([0.5, 1.0, 2.0]), max_size=2),
    ),
    min_size=1,
    max_size=4,
).map(lambda made: [replace(one, node=NodeName(f"n{at}")) for at, one in enumerate(made)])


@st.composite
def waiting_jobs(draw: st.DrawFn) -> list[PendingJob]:
    return [
        queued(
            job,
            cpus=draw(st.sampled_from([0.5, 1.0, 2.0, 4.0])),
            on=draw(st.lists(st.sampled_from(["n0", "n1", "n2", "n3"]), min_size=1, unique=True)),
            waited_s=draw(st.sampled_from([0.0, 60.0, 7200.0])),
            priority=draw(st.sampled_from([0.0, 0.0, 1.0, 5.0])),
            estimate_s=draw(st.sampled_from([None, 60.0, 3600.0])),
            group=draw(st.sampled_from([None, "pack"])),
            pick=draw(st.sampled_from([1, 1, 2])),
        )
        for job in range(draw(st.integers(1, 8)))
    ]


BOTH: dict[str | None, Policy] = {"pack": policy_named("pack", thresholds=NONE)}


def by_group(one: PendingJob) -> Policy:
    return {None: OPEN, **BOTH}[one.group]


def running_of(nodes: Sequence[Measured], *, every: int) -> dict[str, datetime | None]:
    leases = [lease for one in nodes for lease in (one.reading.leases if isinstance(one.reading.leases, tuple) else ())]
    return {lease.key: NOW + timedelta(seconds=100) if at % every else None for at, lease in enumerate(leases)}


def cpus_free(one: Measured) -> float:
    """By hand: all that is promised counts whole, and the load beyond it."""
    leases = one.reading.leases if isinstance(one.reading.leases, tuple) else ()
    held = [lease.allocation for lease in leases if isinstance(lease.allocation, Allocation)]
    assert not isinstance(one.reading.cpus, Unknown)
    return one.reading.cpus.online - sum(allocation.cpus for allocation in held)


@settings(patient, max_examples=80)
@given(NODES, waiting_jobs(), st.integers(0, 9))
def test_never_more_than_there_is_and_nobody_where_he_may_not_be(
    nodes: list[Measured], jobs: list[PendingJob], seed: int
) -> None:
    chosen = sweep_and_place(*jobs, nodes=nodes, running=running_of(nodes, every=2), policies=BOTH, seed=seed)
    by_job = {one.job: one for one in jobs}
    free = {one.node: cpus_free(one) for one in nodes}
    for job, where in chosen.starts:
        assert len(set(where)) == len(where) == by_job[job].request.pick
        assert set(where) <= set(by_job[job].candidates)
        for one in where:
            free[one] -= by_job[job].request.cpus
            assert free[one] >= -1e-6
    assert sorted([*started(chosen), *chosen.waits]) == sorted(by_job), "each is started, or has a reason"
    assert all(chosen.waits.values())


@settings(patient, max_examples=80)
@given(NODES, waiting_jobs(), st.data())
def test_of_two_that_are_equal_the_more_urgent_is_not_started_later(
    nodes: list[Measured], jobs: list[PendingJob], data: st.DataObject
) -> None:
    one = data.draw(st.sampled_from(jobs))
    twin = replace(one, job=99, priority=one.priority + data.draw(st.sampled_from([0.5, 9.0])))
    chosen = sweep_and_place(*jobs, twin, nodes=nodes, running=running_of(nodes, every=2), policies=BOTH)
    order = started(chosen)
    if one.job in order:
        assert 99 in order
        assert order.index(99) < order.index(one.job)


@settings(patient, max_examples=30)
@given(NODES, waiting_jobs(), st.integers(0, 3))
def test_everything_that_fits_anywhere_starts_when_room_comes(
    nodes: list[Measured], jobs: list[PendingJob], seed: int
) -> None:
    """Rounds of an hour: what was started has ended by the next one, and new ones of high priority keep coming."""
    empty = [replace(one, reading=replace(one.reading, leases=())) for one in nodes]
    able = [one for one in jobs if sweep_and_place(one, nodes=empty, policies=BOTH).starts]
    left = {one.job: one for one in able}
    for round_ in range(40):
        at = NOW + timedelta(hours=round_)
        new = PendingJob(
            job=1000 + round_,
            request=Request(cpus=1.0),
            candidates=tuple(one.node for one in nodes),
            submitted_at=at,
            priority=5.0,
        )
        snapshot = Snapshot(taken_at=at, answers=tuple(empty))
        chosen = to_start(snapshot, [*left.values(), new], {}, by_group, at, Random(seed))
        for job in started(chosen):
            left.pop(job, None)
    assert not left
