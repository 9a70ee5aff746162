"""A forecast heeds what was right lately, and bears whatever a node or a clock may bring."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model.forecast import Expected
from clbalance.policy.forecast.series import (
    HORIZONS,
    PREDICTORS,
    STEP_S,
    Numbers,
    add,
    expected,
    is_sample,
    is_sound,
    numbers_of_new,
)
from tests.bench.series import public_series

DAY = 288
FIRST = 20_000 * DAY
"""A step at midnight."""

values = st.floats(0.0, 100.0) | st.floats(-1e12, 1e12).filter(is_sample)
steps = st.integers(-2 * DAY, 3 * DAY) | st.just(1) | st.integers(0, 13)
"""To the next sample: none, one, a gap, a clock that is set back."""


def numbers_of(series: list[float], every: int = 1) -> Numbers:
    numbers = numbers_of_new()
    for at, value in enumerate(series):
        add(numbers, FIRST + at * every, value)
    return numbers


def after(numbers: Numbers, steps_ahead: float) -> Expected:
    found = expected(numbers, (numbers[0] + steps_ahead) * STEP_S)
    assert found is not None
    return found


@given(st.lists(st.tuples(steps, values), min_size=1, max_size=60), st.floats(0.0, 600.0))
@settings(deadline=None, max_examples=60)
def test_whatever_comes_there_is_a_finite_forecast(samples: list[tuple[int, float]], ahead: float) -> None:
    numbers, slot = numbers_of_new(), FIRST
    for step, value in samples:
        slot += step
        add(numbers, slot, value)
        assert is_sound(numbers)
    found = expected(numbers, (numbers[0] + min(ahead, 2.0 * DAY)) * STEP_S)
    assert found is not None
    assert math.isfinite(found.value)
    assert found.error is None or 0.0 <= found.error < math.inf
    assert found.by in PREDICTORS


@given(st.floats(0.0, 100.0, width=32), st.integers(2, 60), st.floats(0.0, 30.0))
@settings(deadline=None, max_examples=30)
def test_what_never_changes_is_expected_to_stay(value: float, count: int, ahead: float) -> None:
    found = after(numbers_of([value] * count), ahead)
    assert found.value == pytest.approx(value, rel=1e-4)
    assert found.error is None or found.error == pytest.approx(0.0, abs=1e-4 * (1.0 + value))


@given(st.lists(st.floats(0.0, 100.0, width=32), min_size=1, max_size=40), st.floats(0.0, 100.0, width=32))
@settings(deadline=None, max_examples=30)
def test_only_the_first_sample_of_a_step_counts(series: list[float], more: float) -> None:
    numbers = numbers_of(series)
    before = numbers.tobytes()
    add(numbers, int(numbers[0]), more)
    assert numbers.tobytes() == before


def test_of_what_was_never_sampled_nothing_is_expected() -> None:
    assert expected(numbers_of_new(), FIRST * STEP_S) is None


def test_of_one_sample_the_value_is_expected_and_no_error_is_known() -> None:
    assert after(numbers_of([0.5]), 6) == Expected(value=0.5, error=None, last_error=None, by="last value")


def test_after_two_days_without_samples_nothing_is_expected() -> None:
    numbers = numbers_of([0.5] * 20)
    assert expected(numbers, (numbers[0] + 2 * DAY) * STEP_S) is not None
    assert expected(numbers, (numbers[0] + 2 * DAY + 1) * STEP_S) is None


def test_a_single_leap_is_not_expected_to_last_where_leaps_never_did() -> None:
    leaps = [9.0 if at % 10 == 9 else 1.0 for at in range(100)]
    numbers = numbers_of(leaps)
    assert numbers[8] == 9.0  # the last value
    found = after(numbers, 1)
    assert found.value == 1.0
    assert found.by.startswith("median")
    assert found.error is not None
    assert found.last_error is not None
    assert found.error < found.last_error


def test_where_each_value_lasts_the_last_one_is_expected() -> None:
    stairs = [float(at // 40) for at in range(200)]
    assert after(numbers_of([*stairs, 7.0]), 1).value == 7.0


def test_a_load_that_rises_is_expected_to_rise_further_but_not_for_ever() -> None:
    series = [0.1 * at for at in range(200)]
    near, far = after(numbers_of(series), 3), after(numbers_of(series), 12)
    assert (near.by, far.by) == ("trend", "trend")
    assert series[-1] + 0.1 < near.value < far.value < series[-1] + 0.1 * 12


def test_what_comes_every_day_at_the_same_hour_is_expected() -> None:
    of_day = [80.0 if 10 * 12 <= at < 14 * 12 else 10.0 for at in range(DAY)]
    numbers = numbers_of([*of_day * 8, *of_day[: 10 * 12 - 3]])  # a quarter to ten
    found = after(numbers, 12)
    assert (found.value, found.by) == (80.0, "hour of the day")


@pytest.mark.parametrize("every", [2, 3, 5, 10, 12])
def test_nodes_that_are_asked_more_rarely_have_an_error_too(every: int) -> None:
    found = after(numbers_of([1.0, 3.0] * 30, every=every), every)
    assert found.last_error == pytest.approx(2.0)
    assert found.error is not None
    assert found.error < 1.5


def test_samples_after_a_gap_are_not_compared_with_what_was_predicted_before_it() -> None:
    numbers = numbers_of([1.0] * 50)
    add(numbers, int(numbers[0]) + 100, 90.0)
    found = after(numbers, 1)
    assert found.last_error == pytest.approx(0.0)


def test_a_clock_that_was_set_back_leaves_what_predictors_were_worth() -> None:
    numbers = numbers_of([1.0, 9.0] * 50)
    before = after(numbers, 1).last_error
    add(numbers, FIRST - 5 * DAY, 5.0)
    assert numbers[0] == FIRST - 5 * DAY
    found = after(numbers, 1)
    assert (found.value, found.last_error) == (5.0, before)


def test_on_a_public_series_forecasts_are_less_wrong_than_the_last_value() -> None:
    """The figures are in docs/design/forecast.md; here is a piece that takes no time."""
    series = public_series()["ec2_cpu_utilization_5f5533"][:400]
    numbers = numbers_of_new()
    wrong, by_last = [0.0] * len(HORIZONS), [0.0] * len(HORIZONS)
    for at, value in enumerate(series):
        add(numbers, FIRST + at, value)
        for place, ahead in enumerate(HORIZONS):
            if 50 <= at < len(series) - ahead:
                came = series[at + ahead]
                wrong[place] += abs(after(numbers, ahead).value - came)
                by_last[place] += abs(value - came)
    assert all(mine < 0.85 * last for mine, last in zip(wrong, by_last, strict=True))
