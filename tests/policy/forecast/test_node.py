"""What is stored of a node is read back, whatever has become of it; and its peaks fade."""

import math
from array import array
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model.forecast import Peaks
from clbalance.policy.forecast.node import Outlook, expected_of_node, peaks_of_node, slot_at, with_sample
from clbalance.policy.forecast.series import STEP_S
from clbalance.policy.indices.table import FORECASTS

FIRST = 20_000 * 288
HOUR = 12
BUSY = {"r1m_per_cpu": 0.9, "ut_pct": 88.0, "mem_available_pct": 31.0, "leases": 2.0}

sampled = st.dictionaries(
    st.sampled_from([*(index.key for index in FORECASTS), "mem_available_pct", "leases"]),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
)


def state_after(*samples: Mapping[str, float], every: int = 1) -> bytes:
    state: bytes | None = None
    for at, values in enumerate(samples):
        state = with_sample(state, FIRST + at * every, values)
    assert state is not None
    return state


def peaks_of(state: bytes, later: int = 0) -> Peaks:
    """So many steps after the last sample."""
    return peaks_of_node(state, (array("f", state)[1] + later) * STEP_S)


def test_each_index_has_its_own_forecast_and_others_have_none() -> None:
    found = expected_of_node(state_after(*[BUSY] * 30), (FIRST + 36) * STEP_S)
    assert {key: one.value for key, one in found.items()} == pytest.approx({"r1m_per_cpu": 0.9, "ut_pct": 88.0})


def test_an_index_that_is_unknown_for_a_while_keeps_what_is_known_of_it() -> None:
    without = {key: value for key, value in BUSY.items() if key != "ut_pct"}
    found = expected_of_node(state_after(*[BUSY] * 30, *[without] * 5), (FIRST + 36) * STEP_S)
    assert found["ut_pct"].value == pytest.approx(88.0)


@given(st.lists(sampled, min_size=1, max_size=20))
@settings(deadline=None, max_examples=40)
def test_whatever_a_node_sends_percentages_stay_within_bounds_and_queues_above_nothing(
    samples: list[dict[str, float]],
) -> None:
    state = state_after(*samples)
    for key, one in expected_of_node(state, (FIRST + 30) * STEP_S).items():
        assert 0.0 <= one.value < math.inf
        assert not key.endswith("_pct") or one.value <= 100.0
    assert len(state) == len(state_after(BUSY))


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_a_damaged_state_is_no_error_and_can_be_counted_on_again(data: st.DataObject) -> None:
    numbers = array("f", state_after(*[BUSY] * 20))
    for place in data.draw(st.lists(st.integers(0, len(numbers) - 1), min_size=1, max_size=8)):
        numbers[place] = data.draw(st.floats(width=32))
    state = numbers.tobytes()
    expected_of_node(state, (FIRST + 30) * STEP_S)
    peaks_of_node(state, (FIRST + 30) * STEP_S)
    with_sample(state, FIRST + 20, BUSY)


@pytest.mark.parametrize("number", [-30.0, -1.0, -1e-9, 1e38, math.nan, math.inf])
def test_whichever_number_of_a_state_is_damaged_the_next_samples_are_counted(number: float) -> None:
    whole = array("f", state_after(*[BUSY] * 20))
    for place in range(len(whole)):
        numbers = whole[:]
        numbers[place] = number
        state = with_sample(with_sample(numbers.tobytes(), FIRST + 20, BUSY), FIRST + 21, BUSY)
        for one in expected_of_node(state, (FIRST + 22) * STEP_S).values():
            assert one.value >= 0.0
            assert one.error is None or 0.0 <= one.error < math.inf


@given(st.binary(max_size=64))
@settings(deadline=None, max_examples=20)
def test_bytes_of_another_length_count_as_none(state: bytes) -> None:
    assert expected_of_node(state, FIRST * STEP_S) == {}
    assert with_sample(state, FIRST, BUSY) == with_sample(None, FIRST, BUSY)


def test_an_outlook_reads_as_a_mapping() -> None:
    state = state_after(*[BUSY] * 3)
    outlook = Outlook(state, (FIRST + 4) * STEP_S)
    assert dict(outlook) == expected_of_node(state, (FIRST + 4) * STEP_S)
    assert len(outlook) == len(FORECASTS)
    assert repr(outlook).startswith("Outlook({")


def test_a_step_begins_every_five_minutes() -> None:
    assert [slot_at(at_s) for at_s in (0.0, 299.9, 300.0)] == [0, 0, 1]


def test_peaks_are_what_is_rarely_passed() -> None:
    calm, busy = {"ut_pct": 12.0, "mem_available_pct": 70.0}, {"ut_pct": 97.0, "mem_available_pct": 5.0}
    rarely, often = state_after(*[calm] * 97, *[busy] * 3), state_after(*[calm] * 90, *[busy] * 10)
    assert (peaks_of(rarely).cpu_use_p95_pct, peaks_of(rarely).mem_used_p98_pct) == (15.0, 100.0)
    assert (peaks_of(often).cpu_use_p95_pct, peaks_of(often).mem_used_p98_pct) == (100.0, 100.0)


def test_peaks_need_an_hour_of_samples() -> None:
    assert peaks_of(state_after(*[BUSY] * 11)).cpu_use_p95_pct is None
    assert peaks_of(state_after(*[BUSY] * 12)).cpu_use_p95_pct == 90.0


def test_a_node_that_was_not_asked_for_two_days_has_no_peak() -> None:
    state = state_after(*[BUSY] * 20)
    assert peaks_of(state, 2 * 288).mem_used_p98_pct == 70.0
    assert peaks_of(state, 2 * 288 + 1) == Peaks(cpu_use_p95_pct=None, mem_used_p98_pct=None)


def test_a_peak_of_the_day_before_yesterday_is_forgotten_sooner_than_memory_that_was_used() -> None:
    busy, calm = {"ut_pct": 97.0, "mem_available_pct": 5.0}, {"ut_pct": 12.0, "mem_available_pct": 70.0}
    state = state_after(*[busy] * 72, *[calm] * 288 * 2)
    found = peaks_of(state)
    assert found.cpu_use_p95_pct == 15.0
    assert found.mem_used_p98_pct == 100.0


def test_a_clock_that_is_set_back_ages_no_peak() -> None:
    state = with_sample(state_after(*[BUSY] * 20), FIRST - 10 * 288, BUSY)
    assert peaks_of(state).cpu_use_p95_pct == 90.0
