"""Placement as a whole: what is chosen, what is charged, and what must hold for every snapshot."""

from collections import Counter
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Answer, Cause, Measured, Memory, NodeName, Pressure, Rates, RunQueue, Snapshot
from clbalance.policy.allocations import allocations_of
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from tests.policy.build import memory, node, placed, scored, silent, sweep

patient = settings(deadline=None)  # a busy machine stalls for longer than the 200 ms that a case may take

pcts = st.floats(0.0, 100.0)
loads = st.floats(0.0, 20.0)


@st.composite
def measured(draw: st.DrawFn, name: str = "n") -> Measured:
    rare = st.integers(0, 9).map(lambda digit: digit == 0)
    return node(
        name,
        r1m=None if draw(rare) else draw(loads),
        cpus=None if draw(rare) else draw(st.integers(1, 64)),
        mem=None if draw(rare) else draw(pcts),
        ut=None if draw(rare) else draw(pcts),
        psi=None if draw(rare) else (draw(pcts), draw(pcts), draw(pcts)),
        python=not draw(rare),
        debt=draw(st.sampled_from([0.0, 0.5, 3.0])),
        factor=draw(st.sampled_from([0.5, 1.0, 2.0])),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    answers: list[Answer] = []
    for number in range(draw(st.integers(0, 12))):
        match draw(st.integers(0, 3)):
            case 0:
                answers.append(silent(f"n{number}", draw(st.sampled_from(Cause))))
            case 1:  # equals, so that ties are drawn often
                answers.append(node(f"n{number}"))
            case _:
                answers.append(draw(measured(f"n{number}")))
    return sweep(*answers, age_s=draw(st.sampled_from([0.0, 30.0, 90.0])))


picks = st.none() | st.integers(1, 15)


@patient
@given(snapshots(), picks, st.integers(0, 5))
def test_the_chosen_were_offered_once_each_and_no_more_than_asked(
    snapshot: Snapshot, pick: int | None, seed: int
) -> None:
    plan = placed(snapshot, pick=pick, seed=seed)
    assert set(plan.chosen) <= {answer.node for answer in snapshot.answers}
    assert len(set(plan.chosen)) == len(plan.chosen)
    assert len(plan.chosen) == (len(plan.ranked) if pick is None else min(pick, len(plan.ranked)))


@patient
@given(snapshots(), picks)
def test_an_unfit_node_is_never_chosen(snapshot: Snapshot, pick: int | None) -> None:
    plan = placed(snapshot, pick=pick, needs_python=True)
    answers = {answer.node: answer for answer in snapshot.answers}
    assert not {unfit.node for unfit in plan.unfit} & set(plan.chosen)
    for name in plan.chosen:
        answer = answers[name]
        assert isinstance(answer, Measured)
        assert isinstance(answer.reading.python, str)
        load = effective_load(answer)
        assert isinstance(load, NodeLoad)
        assert load.run_queue <= load.cpus


@patient
@given(snapshots(), picks)
def test_every_node_is_ranked_or_unfit_exactly_once(snapshot: Snapshot, pick: int | None) -> None:
    plan = placed(snapshot, pick=pick)
    parts = [score.node for score in plan.ranked] + [unfit.node for unfit in plan.unfit]
    assert Counter(parts) == Counter(answer.node for answer in snapshot.answers)
    assert all(0.0 <= term.points <= 100.0 for score in plan.ranked for term in score.terms)
    assert all(0.0 <= score.total <= 100.0 for score in plan.ranked)


@patient
@given(snapshots(), picks, st.randoms(use_true_random=False), st.integers(0, 5))
def test_the_order_of_the_answers_never_matters(
    snapshot: Snapshot, pick: int | None, shuffler: Random, seed: int
) -> None:
    answers = list(snapshot.answers)
    shuffler.shuffle(answers)
    shuffled = replace(snapshot, answers=tuple(answers))
    one, other = placed(snapshot, pick=pick, seed=seed), placed(shuffled, pick=pick, seed=seed)
    assert (one.chosen, one.ranked, one.unfit) == (other.chosen, other.ranked, other.unfit)
    assert set(one.charged.answers) == set(other.charged.answers)


LIGHTEN = st.sampled_from(["r1m", "debt", "ut", "mem", "psi_cpu", "psi_mem", "psi_io"])


def lightened(answer: Measured, index: str, share: float) -> Measured:
    """`answer` with one index lowered to `share` of itself (memory: that much less used), where it is known."""
    reading, rates, placed = answer.reading, answer.rates, answer.placed
    match index, reading.run_queue, rates, reading.memory, reading.pressure:
        case "debt", *_:
            placed = tuple(replace(allocation, cpus=allocation.cpus * share) for allocation in placed)
        case "r1m", RunQueue() as queue, *_:
            reading = replace(reading, run_queue=replace(queue, r1m=queue.r1m * share))
        case "ut", _, Rates() as known, *_:
            rates = replace(known, ut_pct=known.ut_pct * share)
        case "mem", _, _, Memory(total_bytes=total, available_bytes=available), _:
            lighter = memory(total=total, available=total - int((total - available) * share))
            reading = replace(reading, memory=lighter)
        case "psi_cpu", _, _, _, Pressure() as psi:
            reading = replace(reading, pressure=replace(psi, cpu_pct=psi.cpu_pct * share))
        case "psi_mem", _, _, _, Pressure() as psi:
            reading = replace(reading, pressure=replace(psi, mem_pct=psi.mem_pct * share))
        case "psi_io", _, _, _, Pressure() as psi:
            reading = replace(reading, pressure=replace(psi, io_pct=psi.io_pct * share))
        case _:  # not known
            pass
    return replace(answer, reading=reading, rates=rates, placed=placed)


@patient
@given(measured(), LIGHTEN, st.floats(0.0, 1.0))
def test_less_load_never_scores_lower(answer: Measured, index: str, share: float) -> None:
    before, after = effective_load(answer), effective_load(lightened(answer, index, share))
    if isinstance(before, NodeLoad) and isinstance(after, NodeLoad):
        heavy, light = scored(before), scored(after)
        assert light.total >= heavy.total


@patient
@given(snapshots(), LIGHTEN, st.floats(0.0, 1.0), st.data())
def test_less_load_never_ranks_lower_than_a_better_scored_node(
    snapshot: Snapshot, index: str, share: float, data: st.DataObject
) -> None:
    everything = Policy(thresholds=Thresholds(r1m_per_cpu=None, mem_available_pct=None))
    plan = placed(snapshot, pick=None, policy=everything)
    if not plan.ranked:
        return
    name = data.draw(st.sampled_from([score.node for score in plan.ranked]))
    lighter = replace(
        snapshot,
        answers=tuple(
            lightened(answer, index, share) if isinstance(answer, Measured) and answer.node == name else answer
            for answer in snapshot.answers
        ),
    )
    before = {score.node: score.total for score in plan.ranked}
    after = [score.node for score in placed(lighter, pick=None, policy=everything).ranked]
    clearly_worse = {other for other, total in before.items() if total < before[name] - 1e-6}
    assert clearly_worse <= set(after[after.index(name) :])


@patient
@given(st.integers(1, 8), st.integers(0, 40), st.integers(0, 5))
def test_placed_one_after_another_requests_spread_over_equal_nodes(nodes: int, rounds: int, seed: int) -> None:
    snapshot = sweep(*(node(f"n{number}", cpus=64) for number in range(nodes)))
    given_jobs: Counter[NodeName] = Counter({answer.node: 0 for answer in snapshot.answers})
    for number in range(rounds):
        plan = placed(snapshot, seed=seed + number)
        given_jobs.update(plan.chosen)
        snapshot = plan.charged
    assert max(given_jobs.values()) - min(given_jobs.values()) <= 1


@patient
@given(snapshots(), st.integers(1, 6), st.integers(0, 5))
def test_n_at_once_are_the_n_that_rounds_would_choose(snapshot: Snapshot, pick: int, seed: int) -> None:
    at_once = placed(snapshot, pick=pick, seed=seed)
    totals: list[float] = []
    used: frozenset[NodeName] = frozenset()
    for _ in at_once.chosen:
        plan = placed(snapshot, excluded=used, seed=seed)
        totals.append(plan.ranked[0].total)
        used |= set(plan.chosen)
        snapshot = plan.charged
    assert [round(score.total, 6) for score in at_once.ranked[: len(totals)]] == [round(total, 6) for total in totals]


def debts(snapshot: Snapshot) -> dict[str, float]:
    return {
        answer.node: allocations_of(answer).unreflected_cpus
        for answer in snapshot.answers
        if isinstance(answer, Measured)
    }


def test_every_chosen_node_is_charged_and_no_other() -> None:
    plan = placed(sweep(node("b"), silent("s"), node("a", debt=0.5), node("c", r1m=3.0)), pick=2, cpus=1.5)
    assert debts(plan.charged) == {"b": 1.5, "a": 2.0, "c": 0.0}
    assert [answer.node for answer in plan.charged.answers] == ["b", "s", "a", "c"]


def test_a_request_that_does_not_get_all_its_nodes_charges_none() -> None:
    snapshot = sweep(node("a"), silent("b"))
    plan = placed(snapshot, pick=2)
    assert plan.chosen == ("a",)
    assert not plan.fits
    assert plan.charged == snapshot


def test_picking_all_takes_every_node_that_fits() -> None:
    plan = placed(sweep(node("a"), node("b", r1m=9.0), node("c")), pick=None)
    assert set(plan.chosen) == {"a", "c"}
    assert plan.fits


def test_nothing_to_choose_from_is_a_plan_that_does_not_fit() -> None:
    assert not placed(sweep(), pick=None).fits


def test_equal_nodes_are_drawn_by_seed_and_all_get_their_turn() -> None:
    equals = sweep(*(node(f"n{number}") for number in range(4)))
    chosen = Counter(placed(equals, seed=seed).chosen for seed in range(200))
    assert len(chosen) == 4
    assert min(chosen.values()) > 20
    assert placed(equals, seed=7) == placed(equals, seed=7)


def test_a_difference_that_is_only_rounding_is_a_tie() -> None:
    nearly = sweep(node("a", r1m=1.0), node("b", r1m=1.0 + 1e-12))
    assert {placed(nearly, seed=seed).chosen[0] for seed in range(20)} == {"a", "b"}
