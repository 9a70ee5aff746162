"""Waiting lists start what a count of processors would start, and never delay whom they promised a time."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.errors import UsageError
from clbalance.model import Measured, NodeName, Request
from clbalance.model.trace import Arrival, Trace
from clbalance.policy.placement.policies import policy_named
from clbalance.policy.queue.cluster_state import ClusterState, JobAllocations, ReplayCapacity
from clbalance.policy.queue.processors import Processors
from clbalance.policy.queue.queues import WAITING_LISTS, QueuedJob, Running, job_queue_named, points
from clbalance.policy.queue.replay import replay
from clbalance.policy.queue.replay_metrics import Figures
from clbalance.trace.nodes import idle_gpus, idle_node
from clbalance.trace.swf import parse_swf
from tests.bench.peers.plain_simulator import simulated
from tests.policy.build import NOW, sweep
from tests.policy.placement.test_place import patient

from .counted import PICKS, Job, nodes_of_one_cpu, starts

KTH = Path(__file__).parents[2] / "traces" / "data" / "kth-sp2-first-jobs.swf"


def room(*nodes: Measured, seed: int = 0, sharing: bool = False) -> ReplayCapacity:
    return ReplayCapacity(
        state=ClusterState(sweep(*nodes), policy_named("least"), NOW), rng=Random(seed), copies_share_nodes=sharing
    )


def cpus(*counts: int) -> list[Measured]:
    return [idle_node(NodeName(f"n{at}"), cpus=count, mem_bytes=100) for at, count in enumerate(counts)]


def job(
    key: int, procs: float, estimate_s: float | None = 10.0, *, since_s: float = 0.0, priority: float = 0.0
) -> QueuedJob:
    request = Request(cpus=procs, slots=0)
    return QueuedJob(key=key, request=request, since_s=since_s, estimate_s=estimate_s, priority=priority)


def started(
    name: str, waiting: Sequence[QueuedJob], where: ReplayCapacity, running: Sequence[Running[JobAllocations]] = ()
) -> list[int]:
    return [one.job.key for one in WAITING_LISTS[name].to_start(waiting, running, where, 100.0)]


def busy(where: ReplayCapacity, procs: float, ends_s: float) -> Running[JobAllocations]:
    held = where.place(Request(cpus=procs, slots=0))
    assert held is not None
    return Running(held, ends_s)


@st.composite
def counted_jobs(draw: st.DrawFn) -> list[Job]:
    made: list[Job] = []
    submit = 0
    for number in range(draw(st.integers(1, 14))):
        submit += draw(st.sampled_from([0, 0, 1, 2, 4]))
        estimate = draw(st.sampled_from([1, 2, 4, 4, 8, 8, 16]))
        made.append(
            Job(
                number=number,
                submit=submit,
                run=draw(st.sampled_from([estimate, (estimate + 1) // 2])),
                procs=draw(st.integers(1, 5)),
                estimate=estimate,
            )
        )
    return made


def trace_of(jobs: Sequence[Job]) -> Trace:
    return Trace(
        arrivals=tuple(
            Arrival(
                job=str(one.number),
                submit_s=one.submit,
                duration_s=one.run,
                estimate_s=one.estimate,
                request=Request(pick=one.procs, cpus=1.0, slots=0),
            )
            for one in jobs
        )
    )


@settings(patient, max_examples=200)
@given(counted_jobs(), st.sampled_from(sorted(WAITING_LISTS)), st.sampled_from(["least", "pack", "random", "rr"]))
def test_processors_and_nodes_of_one_cpu_start_what_a_count_of_processors_starts(
    jobs: list[Job], name: str, policy: str
) -> None:
    counted = starts(jobs, 5, PICKS[name])
    for machine in (Processors(count=5), sweep(*nodes_of_one_cpu(5))):
        course = replay(machine, trace_of(jobs), policy_named(policy), Random(1), queue=WAITING_LISTS[name])
        assert course.starts_s == counted
        assert course.figures.placed == len(jobs)


@patient
@given(counted_jobs(), st.none() | st.sampled_from(sorted(WAITING_LISTS)))
def test_processors_have_the_figures_of_nodes_of_one_cpu(jobs: list[Job], name: str | None) -> None:
    queue = None if name is None else WAITING_LISTS[name]
    counted, placed = (
        replay(machine, trace_of(jobs), policy_named("least"), Random(1), queue=queue)
        for machine in (Processors(count=4), sweep(*nodes_of_one_cpu(4)))
    )
    assert counted.starts_s == placed.starts_s
    for figure in Figures.names():
        assert getattr(counted.figures, figure) == pytest.approx(getattr(placed.figures, figure)), figure


def test_a_real_log_has_the_figures_of_a_plain_simulator() -> None:
    lines = KTH.read_text().splitlines()
    log = parse_swf(KTH.name, lines)
    assert log.processors is not None
    queue, policy = WAITING_LISTS["easy"], policy_named("least")
    figures = replay(Processors(count=log.processors), log.trace, policy, Random(1), queue=queue).figures
    simulated_figures = simulated(lines)
    assert simulated_figures == pytest.approx({name: getattr(figures, name) for name in simulated_figures})


def test_a_machine_has_as_many_processors_as_it_likes() -> None:
    jobs = [
        Job(number=0, submit=0, run=10, procs=10**8, estimate=10),
        Job(number=1, submit=1, run=5, procs=1, estimate=5),
    ]
    course = replay(
        Processors(count=10**8), trace_of(jobs), policy_named("least"), Random(1), queue=WAITING_LISTS["easy"]
    )
    assert course.starts_s == {0: 0, 1: 10}
    assert course.figures.cpu_allocated_pct == pytest.approx(100 * 10 / 15, rel=1e-6)


@st.composite
def mixed(draw: st.DrawFn) -> tuple[list[Measured], list[QueuedJob], list[QueuedJob]]:
    """Nodes with several resources; jobs of which the first ones run already."""
    nodes = [
        idle_node(
            NodeName(f"n{at}"),
            cpus=draw(st.integers(2, 4)),
            mem_bytes=draw(st.integers(3, 5)),
            gpus=idle_gpus(NodeName(f"n{at}"), count=draw(st.integers(0, 2)), model="", mem_bytes=80),
        )
        for at in range(draw(st.integers(1, 3)))
    ]
    asked = st.builds(
        Request,
        pick=st.sampled_from([1, 1, 2]),
        cpus=st.sampled_from([1.0, 1.0, 2.0, 3.0, 4.0]),
        mem_bytes=st.sampled_from([0, 1, 1, 3]),
        gpus=st.sampled_from([0, 0, 0, 1, 2]),
        slots=st.just(0),
    )
    estimates = st.sampled_from([None, 8.0, 12.0, 12.0, 16.0, 30.0, 60.0])
    every = [
        QueuedJob(key=at, request=draw(asked), since_s=float(at), estimate_s=draw(estimates))
        for at in range(draw(st.integers(3, 12)))
    ]
    cut = draw(st.integers(1, len(every) - 2))
    return nodes, every[:cut], every[cut:]


def fits_beside(nodes: list[Measured], held: list[JobAllocations], request: Request) -> bool:
    """By adding up: whether enough nodes have room for one copy beside what is held."""

    def has_room(node: Measured) -> bool:
        allocations = [allocation for one in held for name, allocation in one.allocations if name == node.node]
        reading = node.reading
        gpus_held = {uuid for allocation in allocations for uuid in allocation.gpus}
        return (
            request.cpus <= reading.cpus.online - sum(allocation.cpus for allocation in allocations)  # type: ignore[union-attr]
            and request.mem_bytes
            <= reading.memory.total_bytes - sum(allocation.mem_bytes for allocation in allocations)  # type: ignore[union-attr]
            and request.gpus <= len(reading.gpus) - len(gpus_held)  # type: ignore[arg-type]
        )

    return sum(map(has_room, nodes)) >= (request.pick or 1)


def earliest(
    nodes: list[Measured], running: list[Running[JobAllocations]], request: Request, now_s: float
) -> float | None:
    """When enough will have ended, tried at every end; None: never, even if all had ended."""
    if not fits_beside(nodes, [], request):
        return None
    times = sorted({now_s, *(max(one.ends_s, now_s) for one in running)})
    return next(at for at in times if fits_beside(nodes, [one.held for one in running if one.ends_s > at], request))


@settings(patient, max_examples=200)
@given(mixed(), st.sampled_from([name for name in WAITING_LISTS if name != "fcfs"]), st.integers(0, 3))
def test_nobody_who_passes_delays_the_first_that_waits(
    drawn: tuple[list[Measured], list[QueuedJob], list[QueuedJob]], name: str, seed: int
) -> None:
    nodes, first, waiting = drawn
    where = room(*nodes, seed=seed)
    now_s = 20.0
    running = [
        Running(held, math.inf if one.estimate_s is None else 10.0 + one.estimate_s)  # some are past their estimate
        for one in first
        if (held := where.place(one.request)) is not None
    ]
    begun = WAITING_LISTS[name].to_start(waiting, running, where, now_s)
    keys = {one.job.key for one in begun}
    order = WAITING_LISTS[name].order
    queue = waiting if order is None else sorted(waiting, key=lambda one: order(one, now_s))
    left = [one for one in queue if one.key not in keys]
    possible = [one for one in left if fits_beside(nodes, [], one.request)]
    assert all(fits_beside(nodes, [], one.job.request) for one in begun)
    if not possible:
        return
    head = possible[0]
    before = [one for one in queue[: queue.index(head)] if one.key in keys]
    as_promised = [
        *running,
        *(Running(one.held, one.job.expected_end_s(now_s)) for one in begun if one.job in before),
    ]
    everyone = [*running, *(Running(one.held, one.job.expected_end_s(now_s)) for one in begun)]
    promised_s = earliest(nodes, as_promised, head.request, now_s)
    now_promised_s = earliest(nodes, everyone, head.request, now_s)
    assert promised_s is not None
    assert now_promised_s is not None
    assert now_promised_s <= promised_s
    held = [one.held for one in everyone]
    for one in left:  # and whoever could have passed without harm has done so
        if fits_beside(nodes, held, one.request):
            assert one.expected_end_s(now_s) > promised_s or promised_s == math.inf


@patient
@given(mixed(), st.sampled_from(sorted(WAITING_LISTS)))
def test_the_room_holds_just_what_was_started(
    drawn: tuple[list[Measured], list[QueuedJob], list[QueuedJob]], name: str
) -> None:
    nodes, _, waiting = drawn
    where = room(*nodes)
    begun = WAITING_LISTS[name].to_start(waiting, (), where, 0.0)
    for one in begun:
        where.release(one.held)
    assert where.state.all_answers == tuple(sorted(nodes, key=lambda node: node.node))


def test_fcfs_lets_nobody_pass() -> None:
    assert started("fcfs", [job(1, 2), job(2, 3), job(3, 1)], room(*cpus(4))) == [1]


def test_easy_lets_pass_who_has_ended_in_time() -> None:
    where = room(*cpus(4))
    running = [busy(where, 3, 120.0)]
    assert started("easy", [job(1, 4), job(2, 1, 20.0), job(3, 1, 1.0)], where, running) == [2]


def test_easy_lets_nobody_pass_who_would_delay_the_first() -> None:
    where = room(*cpus(4))
    running = [busy(where, 3, 120.0)]
    assert started("easy", [job(1, 4), job(2, 1, 20.5)], where, running) == []


def test_easy_lets_pass_who_runs_where_the_first_will_not() -> None:
    where = room(*cpus(1, 4))
    running = [busy(where, 4, 120.0)]
    assert started("easy", [job(1, 4), job(2, 1, 1000.0)], where, running) == [2]


def test_one_that_fits_nowhere_keeps_nobody_waiting() -> None:
    where = room(*cpus(4))
    running = [busy(where, 3, 120.0)]
    assert started("easy", [job(1, 5), job(2, 4), job(3, 1, 5.0)], where, running) == [3]
    assert started("easy", [job(1, 5), job(2, 1)], room(*cpus(4))) == [2]


def test_at_a_time_that_nobody_knows_nothing_counts_as_over() -> None:
    where = room(*cpus(4))
    running = [busy(where, 3, math.inf)]
    assert started("easy", [job(1, 4), job(2, 1, 5.0)], where, running) == []
    assert started("easy", [job(1, 3), job(2, 1, 5.0)], where, running) == [2]


def test_what_is_past_its_estimate_may_end_at_any_moment() -> None:
    where = room(*cpus(4))
    running = [busy(where, 2, 50.0), busy(where, 1, 90.0)]
    assert started("easy", [job(1, 4), job(2, 1, 5.0)], where, running) == []


def test_what_ends_at_one_time_ends_together() -> None:
    where = room(*cpus(4))
    running = [busy(where, 2, 120.0), busy(where, 1, 120.0)]
    assert started("easy", [job(1, 3), job(2, 1, 1000.0)], where, running) == [2]


def test_sjf_begins_with_the_shortest_and_with_what_nobody_knows_last() -> None:
    waiting = [job(1, 1, None), job(2, 1, 30.0), job(3, 1, 20.0)]
    assert started("sjf", waiting, room(*cpus(3))) == [3, 2, 1]


def test_easy_sjbf_keeps_the_order_but_of_those_that_pass() -> None:
    where = room(*cpus(4))
    running = [busy(where, 3, 200.0)]
    assert started("easy-sjbf", [job(1, 2), job(2, 1, 30.0), job(3, 1, 20.0)], where, running) == [3]


def test_priority_is_given_and_grows() -> None:
    urgent, old, short = job(1, 1, 3600.0, since_s=100.0, priority=2.0), job(2, 1, 10.0), job(3, 1, 1.0)
    assert started("priority", [urgent, old, short], room(*cpus(3))) == [2, 3, 1]
    assert points(urgent, 100.0) == 2.0
    assert points(replace(urgent, estimate_s=None), 3700.0) == 3.0
    assert points(short, 20.0) == points(old, 20.0) == 2.0


def test_copies_may_share_nodes_where_that_is_said() -> None:
    four = Request(pick=4, cpus=1.0, slots=0)
    apart, sharing = room(*cpus(2, 3)), room(*cpus(2, 3), sharing=True)
    assert not apart.fits(four)
    assert apart.place(four) is None
    assert sharing.fits(four)
    held = sharing.place(four)
    assert held is not None
    assert len(held.allocations) == 4
    assert not sharing.fits(four)
    assert sharing.place(four) is None
    assert sharing.fits(replace(four, pick=1))
    sharing.release(held)
    assert sharing.state.all_answers == room(*cpus(2, 3)).state.all_answers


def test_an_unknown_list_is_told_with_those_there_are() -> None:
    assert job_queue_named("easy") is WAITING_LISTS["easy"]
    with pytest.raises(UsageError, match="unknown queue 'lifo'") as caught:
        job_queue_named("lifo")
    assert "fcfs, sjf, priority, easy, easy-sjbf" in caught.value.hint
