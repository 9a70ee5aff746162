"""How many tasks go to a slot at once: late for long ones, a few ahead for short ones, a fair share at the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.job import TaskRules
from clbalance.policy.jobs.task_records import depth, left_s, most_failures, refill_at

COUNTS = st.integers(min_value=0, max_value=1_000_000)
SECONDS = st.floats(min_value=0.0, max_value=1e6)


@pytest.mark.parametrize(
    ("mean_s", "pending", "slots", "expected"),
    [
        pytest.param(None, 1000, 4, 1, id="one before anything has ended"),
        pytest.param(60.0, 1000, 4, 1, id="long tasks are not given ahead"),
        pytest.param(4.0, 1000, 4, 2, id="of others the next is there before the last has ended"),
        pytest.param(4.0, 8, 4, 1, id="as long as many are pending: another slot may be free sooner"),
        pytest.param(0.05, 1000, 4, 8, id="short ones are, as many as take 0.4 s"),
        pytest.param(0.0, 100_000, 4, 64, id="but not without end"),
        pytest.param(0.001, 40, 4, 5, id="half of the fair share of what is left"),
        pytest.param(0.001, 3, 4, 1, id="the last ones go to who is free"),
        pytest.param(0.001, 0, 0, 1, id="nothing to give, nobody to give it to"),
    ],
)
def test_a_slot_has(mean_s: float | None, pending: int, slots: int, expected: int) -> None:
    assert depth(mean_s, pending, slots) == expected


def test_a_slot_is_given_more_before_it_has_none_left_unless_it_gets_only_one() -> None:
    assert [refill_at(much) for much in (1, 2, 7, 8, 64)] == [0, 1, 1, 2, 16]


def test_where_few_may_fail_few_are_given_ahead() -> None:
    assert [depth(0.001, 10_000, 4, may_fail) for may_fail in (0, 7, 40, 10_000, None)] == [1, 1, 10, 64, 64]


@given(SECONDS, COUNTS, st.integers(min_value=1, max_value=1000))
def test_never_more_than_its_fair_share_and_always_one(mean_s: float, pending: int, slots: int) -> None:
    much = depth(mean_s, pending, slots)
    assert 1 <= much <= 64
    assert much == 1 or much <= pending / slots + 1
    assert much <= 2 or (much - 1) * mean_s <= 0.4


@pytest.mark.parametrize(
    ("rules", "total", "most"),
    [
        pytest.param(TaskRules(), 100, None, id="any number without a rule"),
        pytest.param(TaskRules(max_fail=0.0), 100, 0, id="none"),
        pytest.param(TaskRules(max_fail=3.0), 100, 3, id="a number"),
        pytest.param(TaskRules(max_fail=5.0, max_fail_is_pct=True), 100, 5, id="a share"),
        pytest.param(TaskRules(max_fail=5.0, max_fail_is_pct=True), 19, 0, id="a share of less than one task"),
        pytest.param(TaskRules(max_fail=0.1, max_fail_is_pct=True), 2999, 2, id="rounded down"),
        pytest.param(TaskRules(max_fail=100.0, max_fail_is_pct=True), 7, 7, id="all of them"),
    ],
)
def test_so_many_may_fail(rules: TaskRules, total: int, most: int | None) -> None:
    assert most_failures(rules, total) == most


def test_the_rest_takes_as_long_as_what_was() -> None:
    assert left_s(elapsed_s=10.0, done=0, total=5) is None
    assert left_s(elapsed_s=10.0, done=5, total=20) == 30.0
    assert left_s(elapsed_s=10.0, done=20, total=20) == 0.0
