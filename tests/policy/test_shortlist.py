"""Few nodes are asked only where they may do, and never lead to a worse answer than all of them."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Answer, Cause, NodeName, Request, Silent, Snapshot
from clbalance.model.request import Constraints
from clbalance.policy.placement.filters import filter_input
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import LEAST, Policy, policy_named
from clbalance.policy.placement.quorum import not_awaited, was_not_asked
from clbalance.policy.shortlist import (
    DRAWN,
    MARGIN,
    SPARE,
    SPARE_FRESH,
    Memory,
    first_asked,
    is_late_one_better,
    may_ask_few,
    next_asked,
    not_asked,
    unknown_node,
)
from tests.bench.few_nodes import HISTORIES, ask_few, crowd, regret
from tests.policy.build import NOW, drain, names, node, silent

patient = settings(deadline=None, max_examples=60)

FEW = 1 + SPARE + DRAWN
LOADS = st.lists(st.none() | st.integers(0, 12), min_size=2 * FEW, max_size=24)
"""Of each node by number; None: it does not fit."""


def answer(number: int, load: float | None) -> Answer:
    name = f"n{number:02}"
    return silent(name) if load is None else node(name, r1m=load, cpus=16)


def memory_of(loads: list[float | None], *, unknown: int = 0, age_s: float = 90.0) -> Memory:
    """Nothing is known of the last `unknown` nodes. What is known of the others is not fresh."""
    answers = [answer(number, load) for number, load in enumerate(loads)]
    known = len(answers) - unknown
    lost = [unknown_node(one.node, 120.0) for one in answers[known:]]
    ages_s = {one.node: age_s for one in answers[:known]}
    return Memory(answers=(*answers[:known], *lost), age_s=ages_s, within_s=120.0)


def first(
    memory: Memory,
    request: Request | None = None,
    policy: Policy = LEAST,
    seed: int = 1,
    connected: frozenset[NodeName] = frozenset(),
) -> list[NodeName]:
    return list(first_asked(memory, request or Request(), policy, NOW, Random(seed), connected))


def asked_in_the_end(memory: Memory, truth: list[Answer], seed: int) -> Snapshot:
    """What a placement knows once it asks no more."""
    return ask_few(memory, {one.node: one for one in truth}, Random(seed))[0]


@patient
@given(LOADS, LOADS, st.integers(0, 20), st.integers(0, 3))
def test_a_node_is_found_wherever_one_fits(
    before: list[float | None], after: list[float | None], unknown: int, seed: int
) -> None:
    memory = memory_of(before, unknown=min(unknown, len(before)))
    truth = [answer(number, after[number % len(after)]) for number in range(len(before))]
    few = place(asked_in_the_end(memory, truth, seed), Request(), LEAST, NOW, Random(seed))
    everyone = place(Snapshot(taken_at=NOW, answers=tuple(truth)), Request(), LEAST, NOW, Random(seed))
    assert few.fits == everyone.fits


@patient
@given(LOADS, st.integers(0, 3))
def test_while_nothing_changes_the_choice_is_as_good_as_with_all(loads: list[float | None], seed: int) -> None:
    truth = [answer(number, load) for number, load in enumerate(loads)]
    few = place(asked_in_the_end(memory_of(loads), truth, seed), Request(), LEAST, NOW, Random(seed))
    everyone = place(Snapshot(taken_at=NOW, answers=tuple(truth)), Request(), LEAST, NOW, Random(seed))
    assert [one.total for one in few.ranked[:1]] == pytest.approx([one.total for one in everyone.ranked[:1]])


@patient
@given(LOADS, LOADS, st.integers(0, 3))
def test_nobody_unasked_was_better_by_more_than_the_margin_than_the_choice_is(
    before: list[float | None], after: list[float | None], seed: int
) -> None:
    memory = memory_of(before)
    truth = [answer(number, after[number % len(after)]) for number in range(len(before))]
    snapshot = asked_in_the_end(memory, truth, seed)
    chosen = place(snapshot, Request(), LEAST, NOW, Random(seed))
    if not chosen.fits:
        return
    unasked = {one.node for one in snapshot.answers if was_not_asked(one)}
    remembered = place(Snapshot(taken_at=NOW, answers=memory.answers), Request(), LEAST, NOW, Random(seed))
    best = max((one.total for one in remembered.ranked if one.node in unasked), default=0.0)
    assert best <= chosen.ranked[0].total + MARGIN + 1e-6


@patient
@given(LOADS, st.integers(1, 3), st.integers(0, 24), st.integers(0, 3))
def test_who_is_asked_first_is_a_candidate_once_and_few_or_all(
    loads: list[float | None], pick: int, unknown: int, seed: int
) -> None:
    memory = memory_of(loads, unknown=min(unknown, len(loads)))
    found = first(memory, Request(pick=pick), seed=seed)
    everyone = [one.node for one in memory.answers]
    assert len(set(found)) == len(found)
    assert set(found) <= set(everyone)
    assert len(found) == len(everyone) or pick + SPARE <= len(found) <= pick + SPARE + DRAWN


def test_the_best_are_asked_and_two_others() -> None:
    found = first(memory_of([9.0] * 20 + [0.0, 0.1, 0.2]))
    assert {"n20", "n21", "n22"} < set(found)
    assert len(found) == FEW


def test_one_of_the_others_is_the_one_asked_longest_ago() -> None:
    memory = memory_of([number / 2 for number in range(20)])
    memory = replace(memory, age_s={**memory.age_s, NodeName("n17"): 100.0})
    assert all("n17" in first(memory, seed=seed) for seed in range(20))


def test_while_what_is_remembered_is_fresh_only_the_best_and_the_next_are_asked() -> None:
    fresh = memory_of([9.0] * 20 + [0.0, 0.1, 0.2], age_s=60.0)
    assert first(fresh) == ["n20", "n21"]
    assert len(first(fresh, Request(pick=3))) == 3 + SPARE_FRESH


def test_a_node_that_was_not_asked_lately_is_asked_beside_the_best() -> None:
    memory = memory_of([9.0] * 20 + [0.0, 0.1, 0.2], age_s=1.0)
    memory = replace(memory, age_s={**memory.age_s, NodeName("n07"): 61.0})
    assert first(memory) == ["n20", "n21", "n07"]


def test_of_equal_nodes_those_with_a_connection_are_asked() -> None:
    memory = memory_of([0.0] * 20, age_s=1.0)
    assert all(set(first(memory, seed=seed, connected=names("n07", "n11"))) == {"n07", "n11"} for seed in range(20))


def test_a_connection_does_not_make_up_for_a_load_that_counts() -> None:
    memory = memory_of([9.0] * 20 + [0.0, 0.1, 0.2], age_s=1.0)
    assert first(memory, connected=names("n07", "n21")) == ["n21", "n20"]


@patient
@given(LOADS, st.sets(st.integers(0, 23)), st.integers(0, 3))
def test_connections_change_neither_how_many_are_asked_nor_that_the_best_is_within_the_margin(
    loads: list[float | None], connected: set[int], seed: int
) -> None:
    memory = memory_of(loads)
    found = first(memory, seed=seed, connected=names(*(f"n{number:02}" for number in connected)))
    assert len(found) == len(first(memory, seed=seed))
    best = place(Snapshot(taken_at=NOW, answers=memory.answers), Request(pick=None), LEAST, NOW, Random(seed)).ranked
    if best:
        assert max(one.total for one in best if one.node in found) >= best[0].total - MARGIN - 1e-6


def test_a_node_of_which_nothing_is_known_gets_its_chance_before_any_other() -> None:
    memory = memory_of([0.0] * 20, unknown=2)
    assert all({"n18", "n19"} & set(first(memory, seed=seed)) for seed in range(20))


def test_every_node_that_may_fit_is_asked_sooner_or_later() -> None:
    loads = [float(number) for number in range(14)]
    assert {name for seed in range(200) for name in first(memory_of([*loads, None]), seed=seed)} == {
        f"n{number:02}" for number in range(14)
    }


@pytest.mark.parametrize(
    ("memory", "request_", "policy"),
    [
        pytest.param(memory_of([0.0] * (2 * FEW - 1)), Request(), LEAST, id="a small group"),
        pytest.param(memory_of([0.0] * 20), Request(pick=7), LEAST, id="many are wanted"),
        pytest.param(memory_of([0.0] * 20), Request(pick=None), LEAST, id="`--pick all`"),
        pytest.param(memory_of([0.0] * 20, unknown=11), Request(), LEAST, id="most are unknown"),
        pytest.param(memory_of([0.0] * 2 + [None] * 18), Request(), LEAST, id="hardly any has fitted"),
        pytest.param(memory_of([0.0] * 20), Request(gpus=1), LEAST, id="none had a GPU"),
        pytest.param(memory_of([0.0] * 20), Request(constraints=Constraints(ask_all=True)), LEAST, id="`--ask-all`"),
        pytest.param(memory_of([0.0] * 20), Request(constraints=Constraints(force=True)), LEAST, id="`--force`"),
        pytest.param(memory_of([0.0] * 20), Request(constraints=Constraints(order="ut")), LEAST, id="`--order`"),
        pytest.param(memory_of([0.0] * 20), Request(constraints=Constraints(near=("db",))), LEAST, id="`--near`"),
        pytest.param(memory_of([0.0] * 20), Request(constraints=Constraints(same="rack")), LEAST, id="`--same`"),
        *(
            pytest.param(memory_of([0.0] * 20), Request(), policy_named(name), id=name)
            for name in ("p2c", "random", "rr", "fgd")
        ),
    ],
)
def test_all_are_asked_where_few_cannot_stand_for_them(memory: Memory, request_: Request, policy: Policy) -> None:
    assert first(memory, request_, policy) == [one.node for one in memory.answers]


@pytest.mark.parametrize("policy", ["least", "spread", "pack", "risk"])
def test_few_may_do_for_a_policy_that_takes_the_best(policy: str) -> None:
    assert may_ask_few(Request(), policy_named(policy), 2 * FEW)
    assert not may_ask_few(Request(), policy_named(policy), 2 * FEW - 1)


def test_a_drained_node_is_not_asked_while_others_fit() -> None:
    rest = memory_of([5.0] * 20)
    memory = replace(rest, answers=(node("n00", drains=(drain(),)), *rest.answers[1:]))
    assert all("n00" not in first(memory, seed=seed) for seed in range(50))


def test_an_excluded_node_is_not_among_the_few() -> None:
    memory = memory_of([0.0, *[5.0] * 20])
    assert "n00" not in first(memory, Request(excluded=names("n00")))


def next_of(memory: Memory, found: dict[str, float | None], chosen: tuple[str, ...]) -> set[str]:
    """`found`: the loads of the nodes that have answered."""
    answers = tuple(
        answer(number, found[one.node]) if one.node in found else unknown_node(one.node, 120.0)
        for number, one in enumerate(memory.answers)
    )
    snapshot = Snapshot(taken_at=NOW, answers=answers)
    return set(next_asked(memory, snapshot, tuple(map(NodeName, chosen)), Request(), LEAST, NOW))


def test_where_none_of_the_few_fits_all_others_are_asked() -> None:
    memory = memory_of([0.0] * 20)
    assert len(next_of(memory, {"n00": None, "n01": None, "n02": None}, ())) == 17


def test_where_the_few_are_as_remembered_nobody_else_is_asked() -> None:
    memory = memory_of([0.0, 0.5, 1.0, *[1.5] * 17])
    assert next_of(memory, {"n00": 0.0, "n01": 0.5, "n02": 1.0}, ("n00",)) == set()


def test_where_the_few_have_filled_up_those_that_were_better_are_asked() -> None:
    memory = memory_of([0.0, 0.5, 1.0, 1.5, 1.6, *[9.0] * 17])
    assert next_of(memory, {"n00": 9.0, "n01": 9.0, "n02": 9.0}, ("n01",)) == {"n03", "n04"}


@pytest.mark.parametrize(("best", "is_better"), [(0.0, True), (5.0, False), (None, False)])
def test_only_a_node_that_was_much_better_is_worth_waiting_for(best: float | None, is_better: bool) -> None:
    memory = memory_of([best, 5.0, *[9.0] * 18])
    late, found = not_awaited(NodeName("n00"), 0.1), memory.answers[1]
    rest = [unknown_node(one.node, 120.0) for one in memory.answers[2:]]
    snapshot = Snapshot(taken_at=NOW, answers=(late, found, *rest))
    assert is_late_one_better(memory, snapshot, (found.node,), Request(), LEAST, NOW) is is_better
    assert not is_late_one_better(memory, snapshot, (), Request(), LEAST, NOW)


def test_no_more_are_asked_at_once_than_have_been_asked() -> None:
    memory = memory_of([0.0] * 24)
    assert len(next_of(memory, {"n00": 9.0, "n01": 9.0, "n02": 9.0}, ("n01",))) == 3


@pytest.mark.parametrize(
    ("remembered", "words"),
    [
        (node("a"), "7 s ago others were at least as good"),
        (node("a", drains=(drain(reason="disk", by="root"),)), "7 s ago: drained: disk"),
        (silent("a", Cause.AUTH, "Permission denied"), "7 s ago: authentication failed: Permission denied"),
        (unknown_node(NodeName("a"), 120.0), "nothing is known of it from the last 120 s; others will do"),
    ],
    ids=["fits", "drained", "silent", "unknown"],
)
def test_a_node_that_is_not_asked_says_why(remembered: Answer, words: str) -> None:
    asked = filter_input(Snapshot(taken_at=NOW, answers=()), Request(), LEAST, NOW)
    told = not_asked(remembered, 7.0, asked)
    assert isinstance(told, Silent)
    assert (told.cause, told.reason[: len(words)]) == (Cause.NOT_ASKED, words)


def test_the_choice_is_nearly_as_good_as_with_all() -> None:
    """The figures are `python -m tests.bench few`; this holds their order at a small count, from a fixed seed."""
    for history in HISTORIES:
        one = regret(history, nodes=32, age_s=60.0, trials=10, seed=2)
        assert one.points < 0.5 * one.chance_points
        assert one.asked < 10


def test_many_who_remember_the_same_do_not_pile_on_one_node() -> None:
    most, alone, _ = crowd(clients=16, nodes=32, seed=3)
    assert most <= alone + 2.0
