"""Promises against measured load: everything counts once, and nothing not at all."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import Allocation, Lease, Measured, Unknown
from clbalance.policy.allocations import EMPTY, TAU_S, add_up, allocations_of
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds

from .build import lease, node, placed, scored, sweep, unreadable

patient = settings(deadline=None)
ages = st.floats(-100.0, 1e6)
cpus = st.floats(0.0, 64.0)
leases = st.lists(st.builds(lease, cpus=cpus, mem_bytes=st.integers(0, 2**40), age_s=ages), max_size=8).map(tuple)


@patient
@given(leases, st.floats(0.0, 8.0))
def test_what_shows_and_what_does_not_are_together_the_promise(held: tuple[Lease, ...], just_placed: float) -> None:
    allocations = allocations_of(node("n", leases=held, debt=just_placed))
    promised = [one.allocation.cpus for one in held if isinstance(one.allocation, Allocation)]
    assert allocations.cpus == pytest.approx(sum(promised) + just_placed)
    assert allocations.reflected_cpus + allocations.unreflected_cpus == pytest.approx(allocations.cpus)
    assert allocations.reflected_mem_bytes + allocations.unreflected_mem_bytes == pytest.approx(allocations.mem_bytes)
    assert -1e-9 <= allocations.unreflected_cpus <= allocations.cpus + 1e-9


@patient
@given(leases, st.floats(0.0, 20.0))
def test_debt_is_added_to_the_run_queue_exactly_once(held: tuple[Lease, ...], r1m: float) -> None:
    answer = node("n", r1m=r1m, leases=held, debt=1.5)
    load = effective_load(answer)
    assert isinstance(load, NodeLoad)
    in_leases = allocations_of(replace(answer, placed=())).unreflected_cpus
    assert load.run_queue == pytest.approx(r1m + in_leases + 1.5)


@patient
@given(leases, leases)
def test_more_leases_never_rank_a_node_higher(held: tuple[Lease, ...], more: tuple[Lease, ...]) -> None:
    unlimited = Policy(thresholds=Thresholds(r1m_per_cpu=None))
    before, after = node("a", cpus=64, leases=held), node("a", cpus=64, leases=held + more)
    one, other = effective_load(before), effective_load(after)
    assert isinstance(one, NodeLoad)
    assert isinstance(other, NodeLoad)
    light, heavy = scored(one), scored(other)
    assert heavy.total <= light.total + 1e-9
    if not placed(sweep(before), policy=unlimited).chosen:
        assert not placed(sweep(after), policy=unlimited).chosen


@pytest.mark.parametrize(
    ("age_s", "share"), [(0.0, 1.0), (TAU_S, 0.36788), (5 * TAU_S, 0.00674), (-30.0, 1.0)], ids=str
)
def test_debt_decays_as_r1m_learns(age_s: float, share: float) -> None:
    assert allocations_of(node("n", leases=(lease(cpus=2.0, age_s=age_s),))).unreflected_cpus == pytest.approx(
        2 * share, abs=1e-4
    )


def test_of_unknown_age_nothing_shows_yet() -> None:
    assert add_up([Allocation(cpus=2.0)], Unknown(reason="not told")).unreflected_cpus == 2.0


def test_a_node_without_promises_has_an_empty_ledger() -> None:
    assert allocations_of(node("n")) is EMPTY
    assert allocations_of(node("n", leases=None)) is EMPTY


def test_what_cannot_be_read_adds_nothing_to_the_sums() -> None:
    assert allocations_of(node("n", leases=(unreadable(), lease(cpus=1.0)))).cpus == 1.0


def test_a_burst_that_only_the_leases_show_spreads() -> None:
    full = node("a", r1m=0.0, cpus=8, leases=(lease(cpus=2.0), lease(cpus=2.0)))
    empty = node("b", r1m=2.0, cpus=8)
    assert placed(sweep(full, empty)).chosen == ("b",)


def test_an_old_lease_is_known_by_the_load_it_makes() -> None:
    idle_job = node("a", r1m=0.0, cpus=8, leases=(lease(cpus=4.0, age_s=3600.0),))
    assert placed(sweep(idle_job, node("b", r1m=2.0, cpus=8))).chosen == ("a",)


def test_measured_is_still_hashable_with_leases() -> None:
    answer: Measured = node("n", leases=(lease(cpus=1.0),))
    assert len({answer, node("n", leases=(lease(cpus=1.0),))}) == 1
