"""Order, preferences and shared labels, and what must hold whatever was wished for."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Answer, Measured, NodeName, Plan, Request, Snapshot
from clbalance.model.request import Constraints, Preference
from clbalance.policy.expressions.where import parse_where
from clbalance.policy.placement.charge import allocation_limits
from clbalance.policy.placement.policies import LEAST, policy_named
from tests.policy.build import node, silent, sweep
from tests.policy.expressions.trees import CONDITIONS
from tests.policy.requests import card, labelled, mixed, why, wished, with_cards, with_jobs, without_gpus_known

patient = settings(deadline=None)


def ranked(plan: Plan) -> list[NodeName]:
    return [score.node for score in plan.ranked]


# -- order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ("r1m", ["a", "b", "c"]),
        ("-r1m", ["c", "b", "a"]),
        ("cpus:-r1m", ["b", "a", "c"]),
        ("-cpus : r1m", ["c", "a", "b"]),
        ("r1m / cpus", ["a", "c", "b"]),
    ],
)
def test_nodes_are_ranked_by_the_expression_the_smallest_first(order: str, wanted: list[str]) -> None:
    cluster = sweep(labelled("a", r1m=0.5), labelled("b", r1m=1.5), labelled("c", r1m=2.0, cpus=8))
    plan = wished(cluster, pick=3, order=order)
    assert ranked(plan) == wanted
    assert plan.chosen == tuple(wanted)


def test_equals_are_drawn_and_have_equal_points() -> None:
    cluster = sweep(*(node(f"n{number}", r1m=0.1 * number) for number in range(4)))
    plans = [wished(cluster, order="cpus", seed=seed) for seed in range(40)]
    assert {plan.chosen[0] for plan in plans} == {"n0", "n1", "n2", "n3"}
    assert {score.total for score in plans[0].ranked} == {100.0}


def test_what_is_only_rounding_is_equal() -> None:
    cluster = sweep(node("a", r1m=0.3), node("b", r1m=0.1 + 0.2))
    assert {wished(cluster, order="r1m", seed=seed).chosen for seed in range(20)} == {("a",), ("b",)}


@pytest.mark.parametrize("order", ["ut", "-ut"])
def test_what_is_not_known_stands_last_and_says_so(order: str) -> None:
    plan = wished(sweep(node("a", ut=None), node("b", ut=90.0), node("c", ut=10.0)), pick=None, order=order)
    assert ranked(plan)[-1] == "a"
    assert plan.ranked[-1].terms[0].source == f"{order} unknown, counted as the last: not told"


def test_the_order_is_told_as_a_term() -> None:
    plan = wished(sweep(node("a", ut=40.0), node("b", ut=10.0)), pick=None, order="ut:-mem")
    (first, second) = plan.ranked
    assert (first.terms[0].name, first.terms[0].points, first.terms[0].source) == (
        "order",
        100.0,
        "ut = 10%, -mem = -879K",
    )
    assert (first.total, second.total) == (100.0, 50.0)


def test_by_devices_a_node_stands_where_the_worst_of_those_it_would_give_does() -> None:
    one_idle = with_cards("a", card(0, use=0.0), card(1, use=4.0))
    both_so_so = with_cards("b", card(0, use=2.0), card(1, use=3.0))
    cluster = sweep(one_idle, both_so_so)
    assert ranked(wished(cluster, pick=2, order="gut")) == ["a", "b"]
    assert ranked(wished(cluster, pick=2, gpus=1, order="gut")) == ["a", "b"]
    assert ranked(wished(cluster, pick=2, gpus=2, order="gut")) == ["b", "a"]


def test_by_devices_only_those_that_count_and_are_free_are_looked_at() -> None:
    taken = with_cards("a", card(0, "A100", use=90.0), card(1, "A100", use=3.0), card(2, "T4", use=0.0))
    free = with_cards("b", card(0, "A100", use=2.0))
    plan = wished(sweep(taken, free), pick=2, gpus=1, order="gut", where="gpu_model = A100")
    assert ranked(plan) == ["b", "a"]
    assert plan.ranked[1].terms[0].source == "gut = 3%"


def test_nodes_without_devices_stand_last_by_what_devices_have() -> None:
    plan = wished(sweep(node("a"), mixed("b", "T4"), without_gpus_known("c")), pick=None, order="-gmem")
    assert ranked(plan)[0] == "b"
    assert {score.node: score.total for score in plan.ranked}["a"] == {
        score.node: score.total for score in plan.ranked
    }["c"]
    assert any("no GPU there" in score.terms[0].source for score in plan.ranked)


@pytest.mark.parametrize("name", ["least", "p2c", "random", "rr", "fgd", "pack"])
def test_an_order_stands_above_the_policy(name: str) -> None:
    cluster = sweep(*(labelled(f"n{number}", r1m=number / 2) for number in range(5)))
    for seed in range(5):
        assert ranked(wished(cluster, pick=2, order="-r1m", policy=policy_named(name), seed=seed)) == [
            "n4",
            "n3",
            "n2",
            "n1",
            "n0",
        ]


def test_an_order_does_not_compare_run_queues_at_admission() -> None:
    cluster = sweep(node("a"), node("b", r1m=1.0))
    for wish, limits in ((Constraints(order="cpus"), set()), (Constraints(), {"a"})):
        plan = wished(cluster, constraints=wish)
        assert set(allocation_limits(plan, cluster, Request(constraints=wish), LEAST)) == limits


# -- preferences ----------------------------------------------------------------------------------


def preferring(*preferences: tuple[str, str, float]) -> Constraints:
    return Constraints(
        preferences=tuple(Preference(label=label, value=value, weight=weight) for label, value, weight in preferences)
    )


def test_a_preferred_node_is_taken_unless_it_is_much_worse() -> None:
    wish = preferring(("rack", "r1", 4.0))
    cluster = sweep(labelled("a", rack="r2"), labelled("b", r1m=1.0, rack="r1"), node("c"))
    assert wished(cluster, constraints=wish).chosen == ("b",)
    busy = sweep(labelled("a", rack="r2"), labelled("b", r1m=3.9, rack="r1", cpus=4))
    assert wished(busy, constraints=preferring(("rack", "r1", 0.1))).chosen == ("a",)


def test_a_preference_is_told_as_a_term() -> None:
    plan = wished(
        sweep(labelled("a", rack="r2"), node("b"), labelled("c", rack="r1")),
        pick=None,
        constraints=preferring(("rack", "r1", 4.0)),
    )
    terms = {score.node: score.terms[-1] for score in plan.ranked}
    assert {name: (term.name, term.points, term.source) for name, term in terms.items()} == {
        "a": ("prefer rack=r1", 0.0, "rack is r2"),
        "b": ("prefer rack=r1", 0.0, "no label rack"),
        "c": ("prefer rack=r1", 100.0, "rack is r1"),
    }
    assert all(0.0 <= score.total <= 100.0 for score in plan.ranked)


def test_of_two_preferences_the_heavier_decides() -> None:
    cluster = sweep(labelled("a", rack="r1"), labelled("b", disk="nvme"))
    assert wished(cluster, constraints=preferring(("rack", "r1", 1.0), ("disk", "nvme", 3.0))).chosen == ("b",)
    assert wished(cluster, constraints=preferring(("rack", "r1", 3.0), ("disk", "nvme", 1.0))).chosen == ("a",)


# -- one value for all ----------------------------------------------------------------------------


def racks(**loads: tuple[str, float]) -> Snapshot:
    return sweep(*(labelled(name, rack=rack, r1m=r1m) for name, (rack, r1m) in loads.items()))


def test_all_nodes_share_the_value_whose_best_nodes_are_best() -> None:
    cluster = racks(a=("r1", 0.0), b=("r1", 3.0), c=("r2", 1.0), d=("r2", 1.0), e=("r2", 3.1))
    plan = wished(cluster, pick=2, same="rack")
    assert set(plan.chosen) == {"c", "d"}
    assert why(plan) == {"a": "rack is not r2", "b": "rack is not r2"}
    assert {unfit.detail for unfit in plan.unfit} == {"rack is r1"}
    assert wished(cluster, pick=1, same="rack").chosen == ("a",)


def test_a_value_with_enough_nodes_is_better_than_one_with_good_nodes() -> None:
    cluster = racks(a=("r1", 0.0), b=("r2", 3.0), c=("r2", 3.0))
    assert set(wished(cluster, pick=2, same="rack").chosen) == {"b", "c"}


def test_all_or_nothing_and_the_reasons_name_the_value_that_lacks_fewest() -> None:
    cluster = racks(a=("r1", 0.0), b=("r2", 3.0), c=("r2", 3.0))
    plan = wished(cluster, pick=3, same="rack")
    assert not plan.fits
    assert plan.charged == cluster
    assert why(plan) == {"a": "rack is not r2"}


def test_all_of_one_value_are_those_that_are_best_together() -> None:
    cluster = racks(a=("r1", 0.0), b=("r2", 1.0), c=("r2", 1.0))
    assert set(wished(cluster, pick=None, same="rack").chosen) == {"b", "c"}


def test_a_node_without_the_label_shares_nothing() -> None:
    plan = wished(sweep(node("a"), labelled("b", rack="r1")), same="rack")
    assert (plan.chosen, why(plan)) == (("b",), {"a": "no label rack"})
    assert not wished(sweep(node("a")), same="rack").fits


def test_equal_values_are_drawn() -> None:
    cluster = racks(a=("r1", 0.0), b=("r1", 0.0), c=("r2", 0.0), d=("r2", 0.0))
    drawn = {frozenset(wished(cluster, pick=2, same="rack", seed=seed).chosen) for seed in range(30)}
    assert drawn == {frozenset({"a", "b"}), frozenset({"c", "d"})}


@pytest.mark.parametrize("name", ["p2c", "random", "rr", "spread"])
def test_every_policy_keeps_to_one_value(name: str) -> None:
    cluster = racks(a=("r1", 0.0), b=("r2", 1.0), c=("r1", 1.0), d=("r2", 0.0), e=("r3", 0.0))
    for seed in range(8):
        plan = wished(cluster, pick=2, same="rack", policy=policy_named(name), seed=seed)
        assert set(plan.chosen) in ({"a", "c"}, {"b", "d"})
        assert len(plan.unfit) == 3


# -- whatever was wished for ----------------------------------------------------------------------


@st.composite
def clusters(draw: st.DrawFn) -> Snapshot:
    answers: list[Answer] = []
    for number in range(draw(st.integers(0, 8))):
        name = f"a{number}"
        if draw(st.integers(0, 7)) == 0:
            answers.append(silent(name))
            continue
        answer = node(
            name,
            r1m=draw(st.sampled_from([0.0, 1.0, 3.0, 9.0])),
            cpus=draw(st.sampled_from([4, 8])),
            ut=draw(st.sampled_from([None, 0.0, 60.0])),
            psi=draw(st.sampled_from([None, (0.0, 0.0, 2.0)])),
            gpus=draw(st.sampled_from([None, (), (card(0, "A100"),), (card(0, "T4", cuda="11.8"), card(1, "A100", use=None)), (card(0, "T4", used=30 * 2**30, use=80.0),)])),
        )  # fmt: skip
        answer = replace(
            answer,
            labels=draw(st.sampled_from([{}, {"rack": "a"}, {"rack": "b"}])),
            taints=frozenset(draw(st.sampled_from([(), ("t",), ("t", "u")]))),
        )
        answers.append(with_jobs(answer, *draw(st.sampled_from([(), ("db",), ("db", "web")]))))
    return sweep(*answers)


WISHES = st.builds(
    Constraints,
    where=st.one_of(st.just(""), CONDITIONS),
    order=st.sampled_from(["", "r1m", "-gmem:ut", "ut/psi_io:rq", "r1m - cpus"]),
    tolerated=st.sampled_from([frozenset(), frozenset({"t"}), frozenset({"t", "u"})]),
    preferences=st.sampled_from([(), (Preference(label="rack", value="a", weight=2.0),)]),
    near=st.sampled_from([(), ("db",), ("db", "web")]),
    apart=st.sampled_from([(), ("web",), ("db",)]),
    same=st.sampled_from(["", "rack"]),
)
PICKS = st.sampled_from([1, 2, 3, None])


@patient
@given(clusters(), WISHES, PICKS, st.integers(0, 2), st.integers(0, 3))
def test_no_node_is_used_that_is_not_what_was_wished_for(
    cluster: Snapshot, wish: Constraints, pick: int | None, gpus: int, seed: int
) -> None:
    plan = wished(cluster, pick=pick, gpus=gpus, seed=seed, constraints=wish)
    answers = {answer.node: answer for answer in cluster.answers}
    assert {score.node for score in plan.ranked}.isdisjoint(unfit.node for unfit in plan.unfit)
    assert len(plan.ranked) + len(plan.unfit) == len(answers)
    for name in plan.chosen:
        answer = answers[name]
        assert isinstance(answer, Measured)
        assert answer.taints <= wish.tolerated
        assert not wish.where or parse_where(wish.where).unmet(answer) is None
    if wish.same and plan.chosen:
        assert len({answers[name].labels["rack"] for name in plan.chosen if isinstance(answers[name], Measured)}) == 1  # type: ignore[union-attr]  # it is


@patient
@given(clusters(), WISHES, PICKS, st.integers(0, 2), st.randoms(use_true_random=False))
def test_the_order_of_the_answers_never_matters(
    cluster: Snapshot,
    wish: Constraints,
    pick: int | None,
    gpus: int,
    shuffle: Random,
) -> None:
    mixed_up = list(cluster.answers)
    shuffle.shuffle(mixed_up)
    one = wished(cluster, pick=pick, gpus=gpus, constraints=wish)
    other = wished(replace(cluster, answers=tuple(mixed_up)), pick=pick, gpus=gpus, constraints=wish)
    assert (one.chosen, one.ranked, one.unfit) == (other.chosen, other.ranked, other.unfit)


@patient
@given(clusters(), st.integers(0, 2))
def test_the_devices_that_a_copy_is_charged_with_are_those_that_were_wished_for(cluster: Snapshot, seed: int) -> None:
    plan = wished(cluster, gpus=1, seed=seed, where="gpu_model = A100")
    models = {answer.node: answer.reading.gpus for answer in cluster.answers if isinstance(answer, Measured)}
    for answer in plan.charged.answers:
        for allocation in answer.placed if isinstance(answer, Measured) else ():
            known = models[answer.node]
            assert isinstance(known, tuple)
            assert {gpu.model for gpu in known if gpu.uuid in allocation.gpus} == {"A100"}
