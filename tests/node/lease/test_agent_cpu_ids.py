"""Which cpus a job is bound to. Pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.node.agent.lease.cpus import choose_cpus, cpulist_text, parse_cpulist, taken_cpus
from clbalance.node.agent.lease.files import Lease, parse_lease
from tests.node.nodes import GOOD, lease_text

FOUR_AND_FOUR = [[0, 1, 2, 3], [4, 5, 6, 7]]
ALL = set(range(8))


def lease(cpu_ids: str, cpus: float) -> Lease:
    return Lease(0, GOOD | {"cpu_ids": cpu_ids, "cpus": cpus})


@pytest.mark.parametrize(
    ("count", "leases", "chosen"),
    [
        pytest.param(2, [], [0, 1], id="the first ones of an empty node"),
        pytest.param(2, [("0-1", 2)], [2, 3], id="none that somebody has, of the domain that is begun"),
        pytest.param(3, [("0-1", 2)], [4, 5, 6], id="one memory domain, where another would not hold them"),
        pytest.param(4, [("0", 1), ("4", 1)], [1, 2, 3, 5], id="free ones of two domains before shared ones of one"),
        pytest.param(1, [("0-3", 2), ("4-7", 4)], [0], id="the less promised ones where all are shared"),
        pytest.param(1, [("0-6", 0)], [7], id="who asks for nothing crowds his cpus all the same"),
        pytest.param(2, [("nonsense", 8), ("", 4)], [0, 1], id="a lease that names none takes none of them"),
        pytest.param(6, [], [0, 1, 2, 3, 4, 5], id="more than one domain has"),
    ],
)
def test_the_least_promised_cpus_are_chosen(count: int, leases: list[tuple[str, float]], chosen: list[int]) -> None:
    assert choose_cpus(count, ALL, FOUR_AND_FOUR, taken_cpus([lease(*one) for one in leases])) == chosen


def test_leases_that_cannot_be_read_name_no_cpus() -> None:
    assert taken_cpus([Lease(0, None), Lease(0, GOOD)]) == {}


@given(
    st.sets(st.integers(0, 40), min_size=1),
    st.integers(1, 8),
    st.lists(st.tuples(st.sets(st.integers(0, 40), min_size=1, max_size=8), st.floats(0.0, 8.0)), max_size=6),
    st.integers(1, 12),
)
def test_as_many_as_asked_all_of_them_allowed_and_none_shared_without_need(
    allowed: set[int], count: int, held: list[tuple[set[int], float]], width: int
) -> None:
    domains = [list(range(first, first + width)) for first in range(0, 41, width)]
    taken = taken_cpus([lease(cpulist_text(ids), cpus) for ids, cpus in held])
    chosen = choose_cpus(min(count, len(allowed)), allowed, domains, taken)
    assert len(chosen) == len(set(chosen)) == min(count, len(allowed))
    assert set(chosen) <= allowed
    shared = sum(cpu in taken for cpu in chosen)
    free = len([cpu for cpu in allowed if cpu not in taken])
    assert shared == max(0, len(chosen) - free)


@given(st.sets(st.integers(0, 8000), max_size=200))
def test_a_list_is_read_as_it_was_written(ids: set[int]) -> None:
    assert parse_cpulist(cpulist_text(ids)) == sorted(ids)


@pytest.mark.parametrize(
    "text", ["", "x", "1-", "-1", "3-1", "1,,2", "0-999999", "0-99999999999999999999", "\uff11", "0-9000"]
)
def test_what_is_no_list_names_no_cpus(text: str) -> None:
    assert parse_cpulist(text) == []


def test_a_lease_with_a_cpu_list_of_another_kind_is_the_whole_node() -> None:
    assert parse_lease(lease_text(cpu_ids=[0, 1])) is None
    parsed = parse_lease(lease_text(cpu_ids="all of them"))
    assert parsed is not None
    assert parse_cpulist(parsed["cpu_ids"]) == []


def test_of_domains_that_serve_equally_well_the_one_near_the_gpus_is_taken() -> None:
    assert choose_cpus(2, ALL, FOUR_AND_FOUR, {}) == [0, 1]
    assert choose_cpus(2, ALL, FOUR_AND_FOUR, {}, {4, 5, 6, 7}) == [4, 5]
    taken = taken_cpus([lease("4-6", 3)])
    assert choose_cpus(2, ALL, FOUR_AND_FOUR, taken, {4, 5, 6, 7}) == [0, 1]
