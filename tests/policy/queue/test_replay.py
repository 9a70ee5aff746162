"""A trace through the placement: what is placed, refused, waited for, and what each figure is taken of."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import NodeName, Request, Snapshot
from clbalance.model.trace import Arrival, Trace
from clbalance.policy.placement.policies import KINDS, policy_named
from clbalance.policy.queue.queues import WAITING_LISTS
from clbalance.policy.queue.replay import ReplayRun, replay
from clbalance.policy.queue.replay_metrics import Figures, Meter, NodeUse, bounded_slowdown, compared, percentile
from clbalance.trace.nodes import idle_gpus, idle_node
from tests.policy.build import node, silent, sweep
from tests.policy.placement.test_place import patient


def cluster(*cpus: int, gpus: int = 0) -> Snapshot:
    return sweep(
        *(
            idle_node(
                NodeName(f"n{at}"),
                cpus=count,
                mem_bytes=1000,
                gpus=idle_gpus(NodeName(f"n{at}"), count=gpus, model="T4", mem_bytes=10),
            )
            for at, count in enumerate(cpus)
        )
    )


def job(
    submit_s: float,
    duration_s: float | None,
    cpus: float = 1.0,
    *,
    gpus: int = 0,
    share: float = 1.0,
    pick: int = 1,
) -> Arrival:
    request = Request(pick=pick, cpus=cpus, gpus=gpus, gpu_share=share, slots=0)
    return Arrival(job="j", submit_s=submit_s, duration_s=duration_s, estimate_s=duration_s, request=request)


def run(nodes: Snapshot, *jobs: Arrival, policy: str = "least", queue: str | None = None, seed: int = 1) -> ReplayRun:
    waiting_list = None if queue is None else WAITING_LISTS[queue]
    return replay(nodes, Trace(arrivals=jobs), policy_named(policy), Random(seed), queue=waiting_list)


def test_without_a_list_what_fits_nowhere_is_refused_and_forgotten() -> None:
    course = run(cluster(4), job(0, 10, 4), job(5, 10, 1), job(20, 10, 4))
    assert course.starts_s == {0: 0, 2: 20}
    assert (course.figures.placed, course.figures.refused, course.figures.wait_mean_s) == (2, 1, 0.0)


@pytest.mark.parametrize("queue", [None, *WAITING_LISTS])
def test_what_ends_makes_room_for_what_comes_at_that_time(queue: str | None) -> None:
    assert run(cluster(4), job(0, 10, 4), job(10, 10, 4), queue=queue).starts_s == {0: 0, 1: 10}


def test_with_a_list_it_waits() -> None:
    course = run(cluster(4), job(0, 100, 4), job(50, 50, 1), queue="fcfs")
    assert course.starts_s == {0: 0, 1: 100}
    assert (course.figures.wait_mean_s, course.figures.wait_p95_s) == (25.0, 50.0)
    assert (course.figures.bounded_slowdown_mean, course.figures.bounded_slowdown_max) == (1.5, 2.0)


def test_what_would_not_fit_on_the_empty_cluster_is_refused_and_keeps_nobody_waiting() -> None:
    course = run(cluster(4), job(0, 10, 5), job(0, 10, 5), job(1, 10, 4), queue="fcfs")
    assert course.starts_s == {2: 1}
    assert course.figures.refused == 2


def test_what_waits_for_what_never_ends_is_refused_in_the_end() -> None:
    course = run(cluster(4), job(0, None, 4), job(1, None, 1), queue="easy")
    assert (course.figures.placed, course.figures.refused) == (1, 1)
    assert course.figures.bounded_slowdown_mean is None


def test_of_a_trace_that_never_ends_the_end_is_told() -> None:
    nodes = cluster(4, 4, gpus=2)
    course = run(
        nodes, job(0, None, 1, gpus=1), job(9, None, 2, gpus=1, share=0.5), job(10, None, 4, gpus=2), policy="pack"
    )
    figures = course.figures
    assert figures.gpu_allocated_pct == 100 * 3.5 / 4
    assert figures.cpu_allocated_pct == 100 * 7 / 8
    assert figures.max_over_mean == pytest.approx(1.0 / 0.875)
    assert figures.gpu_allocated_at_first_refusal_pct is None


def test_of_a_trace_that_ends_the_mean_over_the_time_is_told() -> None:
    figures = run(cluster(4, 4, gpus=1), job(0, 10, 4, gpus=1), job(30, 10, 4)).figures
    assert figures.cpu_allocated_pct == 100 * (10 * 4 + 10 * 4) / (40 * 8)
    assert figures.gpu_allocated_pct == 100 * 10 / (40 * 2)
    assert figures.max_over_mean == pytest.approx(2.0)


def test_how_full_the_gpus_were_at_the_first_refusal_is_told() -> None:
    figures = run(
        cluster(8, gpus=2), job(0, None, 1, gpus=1), job(1, None, 1, gpus=2), job(2, None, 1, gpus=1), job(3, None, 9)
    ).figures
    assert (figures.gpu_allocated_at_first_refusal_pct, figures.gpu_allocated_pct, figures.refused) == (50.0, 100.0, 2)


def test_measured_thresholds_are_not_looked_at() -> None:
    course = run(cluster(1), *(job(at, None, 0.1) for at in range(10)))
    assert course.figures.placed == 10


def test_nothing_is_told_of_nothing() -> None:
    figures = run(cluster(2)).figures
    assert (figures.placed, figures.wait_mean_s, figures.wait_p95_s, figures.bounded_slowdown_max) == (
        0,
        None,
        None,
        None,
    )
    assert (figures.cpu_allocated_pct, figures.gpu_allocated_pct, figures.max_over_mean) == (0.0, None, None)
    nowhere = run(sweep(silent("n1")), job(0, 1)).figures
    assert (nowhere.refused, nowhere.cpu_allocated_pct, nowhere.max_over_mean) == (1, None, None)


def test_nodes_of_which_less_is_known_are_measured_as_far_as_they_are() -> None:
    use = NodeUse(sweep(node("a", cpus=None, gpus=None), silent("b")).answers)
    assert Meter(use, 0.0, over_time=False).allocated() == (None, 0.0, None)


def test_it_is_told_how_far_it_has_come_with_each_arrival_and_each_end() -> None:
    heard: list[int] = []
    trace = Trace(arrivals=(job(0, 1), job(1, 1)))
    replay(cluster(2), trace, policy_named("least"), Random(1), heard=heard.append)
    assert heard == [1, 1, 2, 2]


arrivals = st.lists(
    st.builds(
        job,
        st.sampled_from([0.0, 1.0, 1.0, 2.0, 5.0]),
        st.none() | st.sampled_from([1.0, 3.0, 10.0]),
        st.sampled_from([0.5, 1.0, 2.0, 3.0]),
        gpus=st.sampled_from([0, 0, 1]),
        share=st.sampled_from([0.3, 0.5, 1.0]),
    ),
    max_size=14,
)


@patient
@given(arrivals, st.sampled_from(sorted(KINDS)), st.none() | st.sampled_from(sorted(WAITING_LISTS)), st.integers(0, 3))
def test_the_same_seed_gives_the_same_and_every_job_is_placed_or_refused(
    jobs: list[Arrival], policy: str, queue: str | None, seed: int
) -> None:
    jobs.sort(key=lambda one: one.submit_s)
    course = run(cluster(4, 2, 2, gpus=1), *jobs, policy=policy, queue=queue, seed=seed)
    assert course == run(cluster(4, 2, 2, gpus=1), *jobs, policy=policy, queue=queue, seed=seed)
    assert course.figures.placed + course.figures.refused == len(jobs)
    assert all(at >= jobs[place].submit_s for place, at in course.starts_s.items())
    for pct in (course.figures.cpu_allocated_pct, course.figures.gpu_allocated_pct):
        assert pct is not None
        assert -1e-9 <= pct <= 100 + 1e-9


def test_bounded_slowdown_is_at_least_one_and_forgives_the_shortest() -> None:
    assert bounded_slowdown(0.0, 5.0) == 1.0
    assert bounded_slowdown(10.0, 0.0) == 1.0
    assert bounded_slowdown(90.0, 1.0) == pytest.approx(9.1)
    assert bounded_slowdown(100.0, 100.0) == 2.0


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([], 95.0) is None
    assert percentile([3.0], 95.0) == 3.0
    assert percentile(list(map(float, range(1, 101))), 95.0) == 95.0
    assert percentile([2.0, 1.0], 0.0) == 1.0


def test_several_seeds_are_told_by_mean_and_deviation() -> None:
    def figures(placed: float, gpus: float | None) -> Figures:
        return Figures(
            placed=placed,
            refused=0,
            gpu_allocated_pct=gpus,
            cpu_allocated_pct=50.0,
            gpu_allocated_at_first_refusal_pct=None,
            wait_mean_s=0.0,
            wait_p95_s=0.0,
            bounded_slowdown_mean=1.0,
            bounded_slowdown_max=1.0,
            max_over_mean=2.0,
        )

    alone = compared("fgd", None, [figures(4, None)])
    assert (alone.figures.placed, alone.repeats, alone.spread) == (4, 1, None)
    several = compared("fgd", "easy", [figures(4, 90.0), figures(6, 92.0)])
    assert (several.figures.placed, several.figures.gpu_allocated_pct, several.repeats) == (5.0, 91.0, 2)
    assert several.figures.gpu_allocated_at_first_refusal_pct is None
    assert several.spread is not None
    assert several.spread.gpu_allocated_pct == pytest.approx(math.sqrt(2.0))
    assert several.spread.cpu_allocated_pct == 0.0
