"""The period that is asked for, and the two that are compared."""

from datetime import datetime, timedelta

import pytest

from clbalance.cli.report.options import PeriodOptions
from clbalance.cli.report.period import compared_periods, period_of
from clbalance.errors import UsageError

NOW = datetime(2026, 3, 4, 15, 30).astimezone()  # a Wednesday, on the wall here
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("named", "since", "until"),
    [
        ("yesterday", "2026-03-03", "2026-03-04"),
        ("last-week", "2026-02-23", "2026-03-02"),
        ("last-month", "2026-02-01", "2026-03-01"),
    ],
)
def test_a_named_period_that_is_over_is_whole_days_of_the_local_calendar(named: str, since: str, until: str) -> None:
    found = period_of(PeriodOptions(period=named), NOW)
    assert [f"{at.astimezone():%Y-%m-%d %H:%M}" for at in (found.since, found.until)] == [
        f"{since} 00:00",
        f"{until} 00:00",
    ]


@pytest.mark.parametrize(
    ("named", "since"), [("today", "2026-03-04"), ("this-week", "2026-03-02"), ("this-month", "2026-03-01")]
)
def test_a_named_period_that_is_not_over_ends_now(named: str, since: str) -> None:
    found = period_of(PeriodOptions(period=named), NOW)
    assert (f"{found.since.astimezone():%Y-%m-%d %H:%M}", found.until) == (f"{since} 00:00", NOW)


def test_without_options_it_is_the_last_seven_days() -> None:
    assert period_of(PeriodOptions(), NOW).seconds == 7 * 86_400
    ended = period_of(PeriodOptions(until="2d"), NOW)
    assert (ended.until, ended.seconds) == (NOW - 2 * DAY, 7 * 86_400)


def test_no_period_reaches_beyond_now() -> None:
    assert period_of(PeriodOptions(since="1d", until="2999-01-01"), NOW).until == NOW


def test_what_is_compared_is_as_long_as_what_it_is_compared_with() -> None:
    before, after = compared_periods(PeriodOptions(compare="3d"), NOW)
    assert (before.since, before.until) == (NOW - 6 * DAY, NOW - 3 * DAY)
    assert (after.since, after.until) == (NOW - 3 * DAY, NOW)


def test_with_a_beginning_the_time_divides_the_period() -> None:
    before, after = compared_periods(PeriodOptions(since="10d", until="1d", compare="3d"), NOW)
    assert (before.seconds, after.seconds) == (7 * 86_400, 2 * 86_400)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (PeriodOptions(since="1h", until="2h"), "`--since` 1h is not before `--until` 2h"),
        (PeriodOptions(since="2999-01-01", until="2999-01-02"), "`--since` 2999-01-01 is still to come"),
        (PeriodOptions(until="2999-01-02", since="2999-01-01"), "is still to come"),
        (PeriodOptions(since="soon"), "`--since` cannot be 'soon'"),
        (PeriodOptions(period="last-year"), "unknown period `last-year`"),
        (PeriodOptions(period="today", since="1h"), "`--period` does not go with `--since` and `--until`"),
        (PeriodOptions(since="2h", compare="3h"), "`--compare` 3h is not within the period"),
        (PeriodOptions(compare="now"), "`--compare` now is not within the period"),
        (PeriodOptions(compare="2999-01-01"), "`--compare` 2999-01-01 is not within the period"),
        (PeriodOptions(compare="never"), "`--compare` cannot be 'never'"),
        (PeriodOptions(compare="1000-01-01"), "`--compare` 1000-01-01 is too long ago"),
        (PeriodOptions(until="0001-01-04"), "`--until` 0001-01-04 is too long ago"),
    ],
)
def test_a_period_that_makes_no_sense_is_refused(asked: PeriodOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        period_of(asked, NOW) if asked.compare is None else compared_periods(asked, NOW)
    assert raised.value.hint
