"""What makes one node better than another, and how that is told."""

import pytest

from clbalance.errors import SettingsError
from clbalance.model import Measured, Score
from clbalance.policy.placement.policies import Policy, Weights
from clbalance.policy.placement.thresholds import Thresholds
from tests.policy.build import node, placed, sweep


def score(answer: Measured, *, cpus: float = 1.0, policy: Policy | None = None) -> Score:
    (ranked,) = placed(sweep(answer), cpus=cpus, policy=policy or Policy()).ranked
    return ranked


def told(answer: Measured, term: str) -> str:
    return next(one.source for one in score(answer).terms if one.name == term)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        pytest.param(node("a", r1m=1.0), node("b", r1m=2.0), id="a shorter run queue"),
        pytest.param(node("a", r1m=2.0, cpus=8), node("b", r1m=1.5, cpus=4), id="a shorter run queue per cpu"),
        pytest.param(node("a", r1m=2.0, factor=2.0), node("b", r1m=1.5), id="a shorter run queue per speed"),
        pytest.param(node("a", r1m=1.0), node("b", r1m=0.5, debt=1.0), id="debt counts as run queue"),
        pytest.param(node("a", cpus=64), node("b", cpus=2), id="of two idle nodes the one that stays idler"),
        pytest.param(node("a", ut=10.0), node("b", ut=11.0), id="less cpu use"),
        pytest.param(node("a", mem=80.0), node("b", mem=79.0), id="more memory"),
        pytest.param(node("a", psi=(0, 0, 1.0)), node("b", psi=(0, 0, 2.0)), id="less pressure"),
        pytest.param(node("a", psi=(9.0, 9.0, 9.0)), node("b", psi=(0, 10.0, 0)), id="the worst pressure counts"),
        pytest.param(node("a", ut=5.0), node("b", ut=None), id="known idle cpus rather than unknown ones"),
        pytest.param(node("a", r1m=0.8, mem=50.0), node("b", r1m=2.0, mem=90.0), id="run queue before memory"),
    ],
)
@pytest.mark.parametrize("flip", [False, True], ids=["", "named the other way round"])
def test_the_better_node_is_chosen_for(better: Measured, worse: Measured, flip: bool) -> None:
    snapshot = sweep(worse, better) if flip else sweep(better, worse)
    assert placed(snapshot).chosen == ("a",)


def test_overloaded_nodes_are_still_told_apart() -> None:
    unlimited = Policy(thresholds=Thresholds(r1m_per_cpu=None))
    assert placed(sweep(node("a", r1m=401.0), node("b", r1m=400.0)), cpus=0.0, policy=unlimited).chosen == ("b",)


def test_a_score_is_the_weighted_mean_of_its_terms() -> None:
    result = score(node("n", r1m=1.0, ut=40.0, mem=60.0, psi=(10.0, 30.0, 20.0)), cpus=3.0)
    points = {term.name: (term.points, term.weight) for term in result.terms}
    assert points == {"run queue": (50.0, 4.0), "cpu use": (60.0, 2.0), "memory": (60.0, 1.0), "pressure": (70.0, 1.0)}
    assert result.total == (4 * 50 + 2 * 60 + 60 + 70) / 8


def test_an_unknown_term_counts_as_the_lowest_known_one_and_says_so() -> None:
    terms = {term.name: term for term in score(node("n", ut=None, psi=None, mem=30.0)).terms}
    assert terms["cpu use"].points == terms["pressure"].points == terms["memory"].points == 30.0
    assert (terms["cpu use"].unknown, terms["cpu use"].source) == (True, "not told")
    assert not terms["memory"].unknown


def test_a_term_without_weight_is_left_out() -> None:
    memory_only = Policy(weights=Weights(run_queue=0.0, cpu_use=0.0, memory=2.0, pressure=0.0))
    result = score(node("n", r1m=3.0, mem=20.0), policy=memory_only)
    assert result.total == 20.0
    assert [term.name for term in result.terms] == ["memory"]


def test_a_use_beyond_its_range_is_worth_no_points_and_no_more() -> None:
    assert {
        term.points for term in score(node("n", ut=100.7, psi=(101.0, 0, 0))).terms if term.name != "run queue"
    } == {
        0.0,
        90.0,
    }


@pytest.mark.parametrize(
    ("answer", "term", "text"),
    [
        (node("n", r1m=0.42, cpus=8), "run queue", "r1m 0.42 + 1 requested on 8 cpus"),
        (
            node("n", r1m=0.5, debt=2.0, factor=1.5),
            "run queue",
            "r1m 0.50 + 2 just placed + 1 requested on 4 cpus of cpu factor 1.5",
        ),
        (node("n", ut=12.6), "cpu use", "ut 13%"),
        (node("n", mem=61.0), "memory", "mem 61% available"),
        (node("n", psi=(1.0, 7.0, 2.0)), "pressure", "psi at most 7%"),
    ],
)
def test_each_term_tells_what_it_was_read_from(answer: Measured, term: str, text: str) -> None:
    assert told(answer, term) == text


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_weight_is_refused_by_name(weight: float) -> None:
    with pytest.raises(SettingsError, match="weight `memory`"):
        Weights(memory=weight)


def test_weights_that_compare_nothing_are_refused() -> None:
    with pytest.raises(SettingsError) as caught:
        Weights(run_queue=0.0, cpu_use=0.0, memory=0.0, pressure=0.0)
    assert "`run_queue`, `cpu_use`, `memory`, `pressure`" in caught.value.hint
