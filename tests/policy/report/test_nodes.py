"""What nodes were: seen, available, allocated and used. What is not known is no zero."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.node_history import SeriesPoint
from clbalance.model.report import NodesUse
from clbalance.policy.report.intervals import Columns
from clbalance.policy.report.nodes import account_of
from tests.policy.report.build import DAY, NODE, OTHER, leased, point, report

HOUR_S = 3600.0


def use(*points: SeriesPoint) -> NodesUse:
    return account_of(NODE, points, DAY, Columns.of(DAY, 24)).use


def every(minutes: int, **values: float) -> list[SeriesPoint]:
    return [point(at, **values) for at in range(0, 24 * 60, minutes)]


def test_a_node_that_was_asked_every_five_minutes_was_seen_all_day() -> None:
    found = use(*every(5, ut_pct=50.0, leased_cpus=1.0))
    assert (found.seen.pct, found.available.pct) == (100.0, 100.0)
    assert found.cpu_used.amount == pytest.approx(48 * HOUR_S), "half of four cpus, all day"
    assert found.cpu_allocated.pct == pytest.approx(25.0)


def test_used_none_is_zero_and_not_known_is_nothing() -> None:
    assert use(*every(5, ut_pct=0.0)).cpu_used.pct == 0.0
    assert use(*every(5)).cpu_used.pct is None
    assert use(*every(5)).cpu_used.value is None
    nothing = use()
    assert (nothing.seen.pct, nothing.available.pct, nothing.cpus, nothing.gpus) == (0.0, None, None, None)


def test_a_busy_moment_does_not_hide_hours_of_idling() -> None:
    busy = [point(minute / 60, ut_pct=100.0) for minute in range(0, 60 * 30, 60)]  # each minute of half an hour
    idle = [point(minute, ut_pct=0.0) for minute in range(30, 24 * 60, 10)]
    pct = use(*busy, *idle).cpu_used.pct
    assert pct == pytest.approx(100 * 0.5 / 24)


def test_what_is_not_seen_is_neither_idle_nor_down() -> None:
    found = use(point(0, ut_pct=100.0), point(600, ut_pct=100.0))
    assert found.cpu_used.pct == 100.0
    assert found.available.pct == 100.0
    assert found.seen.pct == pytest.approx(100 * 20 / (24 * 60))


def test_a_silent_node_is_not_available_and_its_load_is_not_known() -> None:
    found = use(point(0, ut_pct=20.0), point(10, asked=2, silent=2), point(20, ut_pct=20.0))
    assert found.available.pct == pytest.approx(200 / 3)
    assert found.cpu_used.pct == pytest.approx(20.0)


def test_a_drained_node_is_not_available_but_used() -> None:
    found = use(point(0, ut_pct=50.0, drained_pct=100.0))
    assert (found.available.pct, found.cpu_used.pct) == (0.0, 50.0)


def test_the_number_of_cpus_of_an_old_row_is_taken_from_the_others() -> None:
    assert use(point(0, cpus=-1, ut_pct=50.0), point(10, ut_pct=50.0)).cpu_used.amount == pytest.approx(2 * 1200.0)
    assert use(point(0, cpus=-1, ut_pct=50.0)).cpu_used.value is None


def test_gpus_that_are_leased_and_idle_are_told_apart_from_those_in_use() -> None:
    gpus = {
        0: {"leased_pct": 100.0, "use_pct": 1.0, "idle_pct": 100.0},
        1: {"leased_pct": 0.0, "use_pct": 90.0, "idle_pct": 0.0},
    }
    found = use(point(0, gpus=gpus))
    assert (found.gpu_allocated.pct, found.gpu_used.pct, found.gpu_idle.pct) == (50.0, 45.5, 100.0)
    assert found.gpus == 2


def test_of_gpus_whose_use_is_not_told_nobody_says_that_they_are_idle() -> None:
    found = use(point(0, gpus={0: {"leased_pct": 100.0}}))
    assert (found.gpu_allocated.pct, found.gpu_used.pct, found.gpu_idle.value) == (100.0, None, None)


def test_leases_are_added_up_by_their_jobs_over_time_and_nodes() -> None:
    held = leased(gpus=2.0, gpus_known=2.0, gpus_used=0.5, gpus_idle=1.0, cpus=3.0)
    found = report({NODE: [point(0, leases=[held]), point(10)], OTHER: [point(0, leases=[held, leased("k2", uid=7)])]})
    alice, other = found.users
    assert (alice.user, alice.jobs, alice.cpu_s, alice.gpu_s) == ("u1001", 1, 3600.0, 2400.0)
    assert (alice.gpu_used.pct, alice.gpu_idle.pct) == (25.0, 50.0)
    assert alice.cpu_used.value is None, "no node tells the cpu time of somebody else's job"
    assert (other.user, other.cpu_s, other.gpu_idle.value) == ("u7", 600.0, None)


def test_a_group_has_its_nodes_and_the_total_has_each_node_once() -> None:
    points = {NODE: every(10, ut_pct=100.0), OTHER: every(10, ut_pct=0.0)}
    found = report(points, groups=[("x", [NODE]), ("y", [NODE, OTHER])])
    assert [group.use.cpu_used.pct for group in found.groups] == [100.0, 50.0]
    assert (found.total.nodes, found.total.cpus) == (2, 8.0)
    assert found.groups[0].cpu_by_time == (100.0,) * 24
    assert found.cpu_by_time == (50.0,) * 24
    assert set(found.groups[0].gpu_by_time) == {None}


def test_the_load_of_a_node_is_drawn_where_it_was_seen() -> None:
    (row,) = report({NODE: [point(0, load_per_cpu=0.5), point(65, load_per_cpu=2.0)]}).load
    assert row.cells == (0.5, 2.0, *(None,) * 22)


def test_many_nodes_share_the_rows_of_a_picture() -> None:
    names = [type(NODE)(f"n{number}") for number in range(130)]
    found = report({name: [point(0, load_per_cpu=1.0)] for name in names})
    assert len(found.load) <= 60
    assert found.load[0].name == "n[0-2]"


@given(st.lists(st.tuples(st.integers(0, 1500), st.floats(0, 100), st.floats(0, 4)), max_size=30))
def test_no_share_is_beyond_all_and_nothing_is_negative(samples: list[tuple[int, float, float]]) -> None:
    found = use(*(point(minute, ut_pct=ut, leased_cpus=cpus) for minute, ut, cpus in samples))
    for part in (found.seen, found.available, found.cpu_allocated, found.cpu_used):
        assert part.pct is None or -1e-9 <= part.pct <= 100 + 1e-6
