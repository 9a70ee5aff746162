"""A board decides as `place` does on each charged snapshot, and takes back what it gave."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import NodeName, Request, Snapshot
from clbalance.policy.placement.fragmentation import Workload
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import KINDS, policy_named
from clbalance.policy.placement.select import best_place
from clbalance.policy.queue.cluster_state import ClusterState, JobAllocations
from clbalance.trace.nodes import idle_gpus, idle_node
from tests.policy.build import NOW, gpu, node, silent, sweep
from tests.policy.placement.test_place import patient, snapshots

REQUESTS = st.builds(
    Request,
    pick=st.sampled_from([1, 1, 1, 2, 3]),
    cpus=st.sampled_from([0.5, 1.0, 2.0]),
    gpus=st.just(0),
) | st.builds(
    Request,
    cpus=st.sampled_from([0.5, 1.0]),
    gpus=st.just(1),
    gpu_share=st.sampled_from([0.25, 0.5, 1.0]),
)


def with_gpus(snapshot: Snapshot) -> Snapshot:
    more = (node(f"g{number}", cpus=8, gpus=(gpu(0), gpu(1))) for number in range(3))
    return sweep(*snapshot.answers, *more)


@patient
@given(snapshots(), st.lists(REQUESTS, max_size=12), st.sampled_from(sorted(KINDS)), st.integers(0, 3))
def test_a_board_gives_what_place_would_have_given(
    snapshot: Snapshot, requests: list[Request], name: str, seed: int
) -> None:
    policy = policy_named(name, workload=Workload.of(requests))
    current = with_gpus(snapshot)
    board = ClusterState(current, policy, NOW)
    for request in requests:
        plan = place(current, request, policy, NOW, Random(seed))
        holding = board.place(request, Random(seed))
        assert (holding is not None) is plan.fits
        assert board.count_fitting(request) >= 0
        if holding is None:
            continue
        if policy.rule is not KINDS["random"].rule and policy.rule is not KINDS["least"].rule:
            assert holding.nodes == plan.chosen
        totals = {score.node: score.total for score in plan.ranked}
        if policy.rule is KINDS["least"].rule:  # equals are drawn, and unfit ones take part in one of the two draws
            assert [round(totals[one], 6) for one in holding.nodes] == [round(totals[one], 6) for one in plan.chosen]
        current = Snapshot(taken_at=current.taken_at, answers=tuple(board.all_answers), last_used=holding.nodes[-1])


@patient
@given(st.lists(REQUESTS, min_size=1, max_size=8), st.integers(0, 3))
def test_what_is_released_can_be_had_again(requests: list[Request], seed: int) -> None:
    board = ClusterState(with_gpus(sweep(silent("s"))), policy_named("least"), NOW)
    before = board.all_answers
    held = [holding for request in requests if (holding := board.place(request, Random(seed)))]
    for holding in held:
        board.release(holding)
    assert board.all_answers == before
    assert board.place(requests[0], Random(seed)) is not None


@patient
@given(
    st.lists(REQUESTS | st.builds(Request, gpus=st.just(2), gpu_models=st.just(frozenset({"T4"}))), max_size=14),
    st.sampled_from(["fgd", "pack", "spread", "least"]),
    st.data(),
)
def test_equal_nodes_are_scored_as_place_scores_each_of_them(
    requests: list[Request], name: str, data: st.DataObject
) -> None:
    nodes = [
        idle_node(
            NodeName(f"n{at}"),
            cpus=4,
            mem_bytes=100,
            gpus=idle_gpus(NodeName(f"n{at}"), count=at % 3, model="T4", mem_bytes=80),
        )
        for at in range(7)
    ]
    policy = policy_named(name, workload=Workload.of(requests))
    board, held = ClusterState(sweep(*nodes), policy, NOW), list[JobAllocations]()
    for request in requests:
        now = Snapshot(taken_at=NOW, answers=board.all_answers)
        plan = place(now, request, policy, NOW, Random(1))
        assert board.count_fitting(request) == len(plan.ranked)
        holding = board.place(request, Random(1))
        assert (holding is not None) is plan.fits
        if holding is not None:
            totals = {score.node: score.total for score in plan.ranked}
            assert [totals[node] for node in holding.nodes] == pytest.approx([totals[node] for node in plan.chosen])
            held.append(holding)
        if held and data.draw(st.booleans()):
            board.release(held.pop(data.draw(st.integers(0, len(held) - 1))))


def test_nothing_fits_where_nothing_answered() -> None:
    board = ClusterState(sweep(silent("s")), policy_named("least"), NOW)
    assert board.place(Request(), Random(0)) is None


def test_the_best_of_none_is_none() -> None:
    assert best_place([-1.0, -1.0], -1.0, Random(0)) == []
    assert best_place([], -1.0, Random(0)) == []


def test_a_copy_is_charged_alike_and_then_on_its_own() -> None:
    board = ClusterState(sweep(node("a", cpus=2), node("b", cpus=2)), policy_named("pack"), NOW)
    held = board.place(Request(cpus=2.0), Random(0))
    assert held is not None
    other = board.copy()
    assert other.all_answers == board.all_answers
    other.release(held)
    assert other.count_fitting(Request(cpus=2.0)) == 2
    assert board.count_fitting(Request(cpus=2.0)) == 1
    other.hold(held)
    assert other.all_answers == board.all_answers


def test_all_or_nothing() -> None:
    board = ClusterState(sweep(node("a", cpus=1), node("b", cpus=1)), policy_named("least"), NOW)
    assert board.place(Request(pick=3), Random(0)) is None
    assert board.count_fitting(Request()) == 2
    holding = board.place(Request(pick=None), Random(0))
    assert holding is not None
    assert set(holding.nodes) == {"a", "b"}
    assert board.place(Request(pick=None), Random(0)) is None


@patient
@given(st.lists(REQUESTS, min_size=2, max_size=8), st.sampled_from(sorted(KINDS)), st.integers(0, 3))
def test_a_copy_is_charged_alike_and_goes_its_own_way(requests: list[Request], name: str, seed: int) -> None:
    policy = policy_named(name, workload=Workload.of(requests))
    board = ClusterState(with_gpus(sweep(*(node(f"n{at}") for at in range(3)))), policy, NOW)
    held = [holding for request in requests if (holding := board.place(request, Random(seed)))]
    other = board.copy()
    before = board.all_answers
    assert other.all_answers == before
    for holding in held:
        other.release(holding)
    assert all(not getattr(answer, "placed", ()) for answer in other.all_answers)
    assert board.all_answers == before
    for holding in held:
        other.hold(holding)
    assert other.all_answers == before
    for request in requests:
        afresh = ClusterState(Snapshot(taken_at=NOW, answers=before), policy, NOW)
        assert board.count_fitting(request) == other.count_fitting(request) == afresh.count_fitting(request)


def test_a_copy_forgets_what_was_not_asked_for_in_a_long_time() -> None:
    board = ClusterState(sweep(node("n1"), node("n2")), policy_named("least"), NOW)
    assert board.count_fitting(Request(cpus=4.0)) == 2
    for _ in range(4):
        holding = board.place(Request(cpus=1.0), Random(1))
        assert holding is not None
    assert board.copy().count_fitting(Request(cpus=4.0)) == board.count_fitting(Request(cpus=4.0))
