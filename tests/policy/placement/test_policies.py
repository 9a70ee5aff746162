"""What each policy's name promises."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.errors import SettingsError
from clbalance.model import Measured, NodeName, Request, Snapshot, Trend
from clbalance.model.forecast import Expected
from clbalance.policy.indices.samples import R1M_PER_CPU
from clbalance.policy.placement.fragmentation import Workload
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import KINDS, looking_ahead, policy_named
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


def expecting(name: str, *, now: float, later: float | None) -> Measured:
    """A node of 4 cpus with a run queue of `now`, where `later` is expected."""
    one = node(name, r1m=now, cpus=4)
    if later is None:
        return one
    expected = Expected(value=later / 4, error=0.05, last_error=0.1, by="median of 12")
    return replace(one, expected={R1M_PER_CPU: expected})


def test_foresee_takes_the_node_that_will_be_idle_not_the_one_that_is() -> None:
    busy_soon, idle_soon = expecting("a", now=0.0, later=3.0), expecting("b", now=3.0, later=0.0)
    assert placed(sweep(busy_soon, idle_soon), policy=policy_named("least")).chosen == ("a",)
    plan = placed(sweep(busy_soon, idle_soon), policy=policy_named("foresee"))
    assert plan.chosen == ("b",)
    (term,) = [term for term in plan.ranked[0].terms if term.name == "forecast"]
    assert term.source == "r1m 0.00 +- 0.20 expected on 4 cpus"


def test_a_node_without_a_forecast_counts_by_what_is_measured() -> None:
    idle, busy, known = (expecting("a", now=now, later=later) for now, later in ((1.0, None), (3.0, None), (0.0, 2.0)))
    known = replace(known, node=NodeName("b"))
    assert placed(sweep(idle, known), policy=policy_named("foresee")).chosen == ("a",)
    plan = placed(sweep(busy, known), policy=policy_named("foresee"))
    assert plan.chosen == ("b",)
    assert [term.source for term in plan.ranked[1].terms if term.name == "forecast"] == ["no forecast, r1m 3.00"]


def test_what_was_just_placed_counts_on_top_of_the_forecast() -> None:
    first, second = expecting("a", now=0.0, later=0.0), expecting("b", now=0.0, later=0.2)
    charged = placed(sweep(first, second), policy=policy_named("foresee")).charged
    assert placed(charged, policy=policy_named("foresee")).chosen == ("b",)


def test_least_weighs_no_forecast_unless_it_is_told_to() -> None:
    assert policy_named("least").weights.forecast == 0.0
    nodes = sweep(expecting("a", now=0.0, later=3.0), expecting("b", now=0.5, later=0.0))
    assert placed(nodes, policy=policy_named("least")).chosen == ("a",)
    assert placed(nodes, policy=policy_named("least", weights={"forecast": 4.0})).chosen == ("b",)


def test_looking_ahead_gives_the_forecast_as_much_weight_as_all_the_rest() -> None:
    ahead = looking_ahead(policy_named("least"), 7200.0)
    assert (ahead.weights.forecast, ahead.ahead_s) == (8.0, 7200.0)
    assert looking_ahead(policy_named("foresee"), 7200.0).weights == policy_named("foresee").weights
