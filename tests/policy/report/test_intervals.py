"""The time that samples stand for: never more than there was, and nothing of what was not seen."""

from hypothesis import given
from hypothesis import strategies as st

from clbalance.policy.report.intervals import HOLDS_S, Columns, intervals
from tests.policy.report.build import DAY, START_S, point

_MINUTES = st.lists(st.integers(-120, 26 * 60), max_size=60)
_SPANS = st.sampled_from([60, 600, 3600])


def seconds(*minutes: float) -> float:
    return sum(one.seconds for one in intervals([point(one) for one in minutes], DAY))


def test_a_sample_counts_until_the_next_one() -> None:
    assert [one.seconds for one in intervals([point(0), point(5), point(7)], DAY)] == [300, 120, HOLDS_S]


def test_a_gap_is_not_seen() -> None:
    assert seconds(0, 600) == 2 * HOLDS_S


def test_a_sample_from_before_the_period_counts_from_its_beginning_on() -> None:
    assert seconds(-4) == 360
    assert seconds(-11) == 0


def test_nothing_counts_beyond_the_end() -> None:
    assert seconds(24 * 60 - 3) == 180
    assert seconds(24 * 60) == 0


def test_an_hour_with_one_sample_was_seen_for_ten_minutes() -> None:
    hour = [point(0, span_s=3600, parts=1), point(60, span_s=3600, parts=6)]
    assert [one.seconds for one in intervals(hour, DAY)] == [HOLDS_S, 3600]


@given(_MINUTES, _SPANS, st.integers(1, 9))
def test_intervals_lie_in_the_period_and_never_overlap_in_any_order_of_points(
    minutes: list[int], span_s: int, parts: int
) -> None:
    found = list(intervals([point(one, span_s=span_s, parts=parts) for one in minutes], DAY))
    last = DAY.since_s
    for one in found:
        assert last <= one.since_s < one.since_s + one.span_s <= DAY.until_s
        assert 0 < one.seconds <= one.span_s
        last = one.since_s + one.span_s
    assert sum(one.seconds for one in found) <= DAY.seconds


@given(_MINUTES, st.integers(1, 200))
def test_the_columns_of_a_picture_share_out_each_interval_whole(minutes: list[int], most: int) -> None:
    columns = Columns.of(DAY, most)
    assert columns.number <= most
    for one in intervals([point(minute) for minute in minutes], DAY):
        shares = list(columns.shares(one))
        assert all(0 <= number < columns.number for number, _ in shares)
        assert abs(sum(share for _, share in shares) - one.seconds) < 1e-3


def test_a_picture_of_a_short_period_has_few_columns() -> None:
    assert Columns.of(DAY, 1000).number == 144
    assert Columns.of(DAY, 84).since_s == START_S
