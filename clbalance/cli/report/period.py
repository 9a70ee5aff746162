"""The period that `report` is asked for, and the one that it is compared with."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

from clbalance.cli.option_values import parse_past_time
from clbalance.cli.report.options import PeriodOptions
from clbalance.errors import UsageError
from clbalance.model.report import Period

_DEFAULT = "7d"


def _month_before(day: date) -> date:
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


_Days = tuple[date, date]
_NAMED: Mapping[str, Callable[[date], _Days]] = {
    "today": lambda day: (day, day + timedelta(days=1)),
    "yesterday": lambda day: (day - timedelta(days=1), day),
    "this-week": lambda day: (_monday(day), _monday(day) + timedelta(days=7)),
    "last-week": lambda day: (_monday(day) - timedelta(days=7), _monday(day)),
    "this-month": lambda day: (day.replace(day=1), day + timedelta(days=1)),
    "last-month": lambda day: (_month_before(day), day.replace(day=1)),
}
"""The first day of each, and the first one after it. Weeks begin on Monday."""


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def period_of(asked: PeriodOptions, now: datetime) -> Period:
    """The period; it ends now at the latest. `UsageError` if there is none."""
    if asked.period is not None:
        return _named(asked, now)
    since = parse_past_time(asked.since or _DEFAULT, "`--since`", now)
    until = parse_past_time(asked.until or "now", "`--until`", now)
    if asked.since is None and asked.until is not None:
        since = _earlier(until, now - since, f"`--until` {asked.until}")
    if since >= until:
        raise UsageError(
            f"`--since` {asked.since} is not before `--until` {asked.until or 'now'}", hint="earlier, or later"
        )
    if since >= now:
        raise UsageError(f"`--since` {asked.since} is still to come", hint="a time that has passed")
    return _local(since, min(until, now))


def _local(since: datetime, until: datetime) -> Period:
    """The period, each end as the clock on the wall showed it: summer time may have begun or ended between them."""
    return Period(since=since.astimezone(), until=until.astimezone())


def _earlier(at: datetime, by: timedelta, what: str) -> datetime:
    try:
        return (at - by).astimezone()
    except (OverflowError, ValueError):  # before the first year of the calendar
        raise UsageError(f"{what} is too long ago", hint="a time since there are records") from None


def _named(asked: PeriodOptions, now: datetime) -> Period:
    if asked.since is not None or asked.until is not None:
        raise UsageError("`--period` does not go with `--since` and `--until`", hint="leave out one of them")
    named = _NAMED.get(str(asked.period))
    if named is None:
        raise UsageError(f"unknown period `{asked.period}`", hint=f"one of {', '.join(_NAMED)}")
    since, until = (parse_past_time(day.isoformat(), "`--period`", now) for day in named(now.date()))
    return _local(since, min(until, now))


def compared_periods(asked: PeriodOptions, now: datetime) -> tuple[Period, Period]:
    """The periods before and after `--compare`. Without `--since`, the first is as long as the second."""
    at = parse_past_time(str(asked.compare), "`--compare`", now)
    if asked.since is None and asked.period is None:
        until = min(now, parse_past_time(asked.until or "now", "`--until`", now))
        whole = _local(_earlier(at, until - at, f"`--compare` {asked.compare}"), until)
    else:
        whole = period_of(asked, now)
    if not whole.since < at < whole.until:
        form = "%Y-%m-%d %H:%M"
        raise UsageError(
            f"`--compare` {asked.compare} is not within the period",
            hint=f"a time after {min(whole.since, at):{form}} and before {whole.until:{form}}"
            if whole.since < whole.until
            else "a time that has passed",
        )
    return _local(whole.since, at), _local(at, whole.until)
