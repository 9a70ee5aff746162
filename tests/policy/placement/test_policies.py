"""What each policy's name promises."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.errors import SettingsError
from clbalance.model import Measured, Request, Snapshot, Trend
from clbalance.policy.indices.samples import R1M_PER_CPU
from clbalance.policy.placement.fragmentation import Workload
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import KINDS, policy_named
from tests.policy.build import NOW, gpu, lease, node, placed, silent, sweep

from .test_place import patient, picks, snapshots

NAMES = st.sampled_from(sorted(KINDS))


@patient
@given(snapshots(), NAMES, picks, st.integers(0, 5))
def test_every_policy_takes_only_nodes_that_fit_once_each_and_the_same_for_a_seed(
    snapshot: Snapshot, name: str, pick: int | None, seed: int
) -> None:
    policy = policy_named(name)
    plan = placed(snapshot, pick=pick, policy=policy, seed=seed)
    ranked = [score.node for score in plan.ranked]
    assert list(plan.chosen) == ranked[: len(plan.chosen)]
    assert len(set(ranked)) == len(ranked)
    assert not {unfit.node for unfit in plan.unfit} & set(ranked)
    backwards = Snapshot(taken_at=snapshot.taken_at, answers=snapshot.answers[::-1])
    assert placed(backwards, pick=pick, policy=policy, seed=seed).chosen == plan.chosen


def test_spread_takes_the_emptier_node_and_pack_the_fuller_one() -> None:
    nodes = sweep(node("a", cpus=8, leases=(lease(cpus=4.0),)), node("b", cpus=8, leases=(lease(cpus=2.0),)))
    assert placed(nodes, policy=policy_named("spread")).chosen == ("b",)
    assert placed(nodes, policy=policy_named("pack")).chosen == ("a",)


def test_pack_never_takes_more_than_a_node_has() -> None:
    snapshot, policy = sweep(node("a", cpus=2), node("b", cpus=2)), policy_named("pack")
    used: Counter[str] = Counter()
    for _ in range(5):
        plan = placed(snapshot, policy=policy)
        used.update(plan.chosen)
        snapshot = plan.charged
    assert used == {"a": 2, "b": 2}


def test_gpus_count_in_what_is_taken_where_they_are_asked_for() -> None:
    half = node("a", gpus=(gpu(0), gpu(1)), leases=(lease(gpus=("GPU-0",)),))
    free = node("b", gpus=(gpu(0), gpu(1)))
    assert placed(sweep(half, free), gpus=1, policy=policy_named("pack")).chosen == ("a",)
    assert placed(sweep(half, free), gpus=1, policy=policy_named("spread")).chosen == ("b",)


def test_the_better_of_two_is_never_the_worst_of_all_and_often_not_the_best() -> None:
    nodes = sweep(*(node(f"n{number}", r1m=number / 4) for number in range(8)))
    chosen = Counter(placed(nodes, policy=policy_named("p2c"), seed=seed).chosen for seed in range(400))
    assert ("n4",) not in chosen or chosen[("n4",)] < chosen[("n0",)]
    assert chosen[("n0",)] < 300
    fitting = [number for number in range(8) if number / 4 <= 3.0]
    assert chosen[(f"n{max(fitting)}",)] == 0


def test_drawn_nodes_are_all_drawn() -> None:
    nodes = sweep(*(node(f"n{number}", r1m=number) for number in range(3)))
    chosen = Counter(placed(nodes, policy=policy_named("random"), seed=seed).chosen for seed in range(300))
    assert len(chosen) == 3
    assert min(chosen.values()) > 60


def test_rotation_goes_on_after_the_last_node_and_round() -> None:
    snapshot, policy = sweep(*(node(name, cpus=64) for name in "cab")), policy_named("rr")
    order: list[str] = []
    for _ in range(5):
        plan = placed(snapshot, policy=policy)
        order += plan.chosen
        snapshot = plan.charged
    assert order == ["a", "b", "c", "a", "b"]


def test_rotation_between_calls_goes_on_after_the_youngest_lease() -> None:
    old, young = lease(cpus=1.0, age_s=50.0), lease(cpus=1.0, age_s=5.0)
    nodes = (node("a", leases=(old,)), node("b", leases=(young, old)), node("c"), silent("s"))
    assert placed(sweep(*nodes), policy=policy_named("rr")).chosen == ("c",)
    assert placed(sweep(node("a", leases=None), node("b")), policy=policy_named("rr")).chosen == ("b",)


def test_fgd_keeps_whole_nodes_whole_for_those_who_need_them() -> None:
    workload = Workload.of([Request(gpus=4)] * 3 + [Request(gpus=1)])
    four = tuple(gpu(number) for number in range(4))
    broken = node("b", gpus=four, leases=(lease(gpus=("GPU-0",)),))
    nodes = sweep(node("a", gpus=four), broken, node("c", gpus=four))
    policy = policy_named("fgd", workload=workload)
    assert placed(nodes, gpus=1, policy=policy).chosen == ("b",)
    assert placed(nodes, gpus=4, policy=policy).chosen[0] in {"a", "c"}


def test_fgd_gives_a_share_the_device_on_which_it_leaves_the_smallest_fragment() -> None:
    workload = Workload.of([Request(gpus=1, gpu_share=0.5), Request(gpus=1)])
    halves = (lease(gpus=("GPU-1",), gpu_share=0.5), lease(gpus=("GPU-2",), gpu_share=0.3))
    answer = node("a", gpus=(gpu(0), gpu(1), gpu(2)), leases=halves)
    request = Request(gpus=1, gpu_share=0.5)
    plan = place(sweep(answer), request, policy_named("fgd", workload=workload), NOW, Random(1))
    (charged,) = plan.charged.answers
    assert isinstance(charged, Measured)
    assert charged.placed[-1].gpus == ("GPU-1",)


def test_a_policy_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(SettingsError) as error:
        policy_named("lest")
    assert "'lest'" in error.value.message
    assert "least, spread, pack" in (error.value.hint or "")


def test_weights_change_a_named_policy() -> None:
    assert policy_named("pack", weights={"memory": 3.0}).weights.memory == 3.0
    assert policy_named("pack").weights.run_queue == 0.0
    with pytest.raises(SettingsError):
        policy_named("pack", weights={"packing": 0.0})


def with_history(name: str, *, mean: float, deviation: float) -> Measured:
    trend = Trend(count=9, mean=mean, deviation=deviation, least=0.0, most=1.0, span_s=900.0)
    return replace(node(name), trends={R1M_PER_CPU: trend})


def test_of_equal_means_the_steadier_node_is_the_smaller_risk() -> None:
    steady, restless = with_history("a", mean=0.4, deviation=0.05), with_history("b", mean=0.4, deviation=0.4)
    assert placed(sweep(restless, steady), policy=policy_named("risk")).chosen == ("a",)


def test_a_node_without_history_is_no_smaller_a_risk_than_its_load_says() -> None:
    calm = with_history("a", mean=0.0, deviation=0.0)
    assert placed(sweep(node("b"), calm), policy=policy_named("risk")).chosen == ("a",)
    (score,) = placed(sweep(node("b")), policy=policy_named("risk")).ranked
    assert [(term.unknown, term.source) for term in score.terms if term.name == "risk"] == [(True, "no history")]
