"""Parse and check values that users type: times, signals, job names; and look up user names."""

import pwd
import re
import signal
from datetime import UTC, datetime, timedelta, timezone

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.units import parse_duration

_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_INSTANT_HINT = "like `18:00`, `2026-11-27`, `2026-11-27 06:00` or `2026-11-27T06:00+01:00`, and still to come"


@dataclass(frozen=True, slots=True, kw_only=True)
class FutureTime:
    """An instant, with the local time zone that is valid then, and a remark if the clock is changed around it."""

    at: datetime
    remark: str = ""

    def __str__(self) -> str:
        """`2026-10-25 02:30 (UTC+02:00)`, and the remark."""
        seconds = f":{self.at:%S}" if self.at.second else ""
        shown = f"{self.at:%Y-%m-%d %H:%M}{seconds} ({self.at:%Z})"
        return f"{shown}: {self.remark}" if self.remark else shown


def parse_future_time(text: str, what: str, now: datetime) -> FutureTime:
    """A time after `now`: `18:00` (today, or tomorrow if that has passed), `2026-11-27 06:00`, or ISO 8601.

    Without a time zone it is local time. A local time that the clock skips is read by the offset before the change,
    so it is as long after the change as it says: 02:30 is 03:30. Of a local time that comes twice, the first that is
    still to come is meant. `now` has a time zone. `what` names the option in the `UsageError`.
    """
    try:
        found = _read(text.strip(), now)
    except (ValueError, OverflowError):
        raise UsageError(f"{what} cannot be {text[:40]!r}", hint=_INSTANT_HINT) from None
    coming = next((one for one in found if one.at > now), None)
    if coming is None:
        here = f"{_with_offset(now):%Y-%m-%d %H:%M (%Z)}"
        raise UsageError(f"{what} cannot be {text[:40]!r} (that has passed: it is {here} here)", hint=_INSTANT_HINT)
    return coming


_BEGIN_HINT = "like `2h` (from now), `18:00`, `2026-12-01` or `2026-12-01T08:00`"


def parse_begin_time(text: str, now: datetime) -> FutureTime | None:
    """The time of `--begin`, as sbatch reads it: a time as for `parse_future_time`, or a duration from now on, with or
    without `now+` before it. None: at once, also if the time has passed. `UsageError` if it is no time.
    """
    word = text.strip().lower()
    try:
        if _TIME_OF_DAY.fullmatch(word) or re.match(r"\d{4}-", word):
            return next((one for one in _read(word.upper(), now) if one.at > now), None)
        if word == "now":
            return None
        seconds = parse_duration(word.removeprefix("now+"), "`--begin`")
        return FutureTime(at=_with_offset(now + timedelta(seconds=seconds)))
    except (ValueError, OverflowError, UsageError):
        raise UsageError(f"`--begin` cannot be {text[:40]!r}", hint=_BEGIN_HINT) from None


def _read(text: str, now: datetime) -> list[FutureTime]:
    """The instants that `text` may mean, earliest first; `ValueError` or `OverflowError` if it is no time."""
    if _TIME_OF_DAY.fullmatch(text):
        today = now.astimezone().date()
        moment = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
        # The same wall-clock time on the next day, not 24 hours later: a day may have 23 or 25 hours.
        days = (datetime.combine(today + timedelta(days=later), moment) for later in (0, 1))
        return [one for day in days for one in _local_times(day)]
    typed = datetime.fromisoformat(text)
    return _local_times(typed) if typed.tzinfo is None else [FutureTime(at=_with_offset(typed))]


def _local_times(wall: datetime) -> list[FutureTime]:
    """The instants at which a local clock shows `wall`: one, two, or for a time that is skipped the one after it."""
    first, second = (_with_offset(wall.replace(fold=fold)) for fold in (0, 1))
    if first == second:
        return [FutureTime(at=first)]
    if first > second:  # PEP 495: `fold=0` is the offset before the change
        return [FutureTime(at=first, remark=f"the clock skips {wall:%H:%M} on that day")]
    return [
        FutureTime(at=at, remark=f"{wall:%H:%M} comes twice on that day, and this is the {which}")
        for at, which in ((first, "first"), (second, "second"))
    ]


def _with_offset(at: datetime) -> datetime:
    """The same instant, in local time with a fixed offset such as `UTC+02:00`.

    By its timestamp: `astimezone` reads a skipped local time by the offset after the change.
    """
    instant = datetime.fromtimestamp(at.timestamp(), UTC)
    return instant.astimezone(timezone(instant.astimezone().utcoffset() or timedelta()))


# Times in the past.

_MOMENT_HINT = "like `2h` (ago), `3d`, `2026-11-26`, `2026-11-26T14:30`, `today` or `yesterday`"


def parse_past_time(text: str, what: str, now: datetime) -> datetime:
    """A duration before `now`, a date, a date with a time, `now`, or `today` or `yesterday` (their midnight).

    Without a time zone it is local time. `what` names the option in the `UsageError`.
    """
    word = text.strip().lower()
    days = {"today": 0, "yesterday": 1}.get(word)
    if days is not None:
        midnight = (now - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        return _with_offset(midnight)
    if word == "now":
        return now
    try:
        if re.match(r"\d{4}-", word):
            return _with_offset(datetime.fromisoformat(text.strip()))
        return now - timedelta(seconds=parse_duration(text, what))
    except (ValueError, OverflowError, UsageError):
        raise UsageError(f"{what} cannot be {text!r}", hint=_MOMENT_HINT) from None


# Times ahead, of forecasts.

_FARTHEST_S = 86_400.0


def parse_ahead(text: str, what: str) -> float:
    """Seconds; `UsageError` for a time that no forecast reaches."""
    ahead_s = parse_duration(text, what)
    if ahead_s > _FARTHEST_S:
        raise UsageError(f"{what} cannot be {text!r}", hint="at most a day: nobody knows more of the load to come")
    return ahead_s


# Signals and user names.


def parse_signal(text: str) -> int:
    """The number of a signal: `USR1`, `SIGUSR1`, `usr1` or `10`. `UsageError` for an unknown one."""
    name = text.upper().removeprefix("SIG")
    if re.fullmatch(r"[0-9]{1,2}", text) and 0 < int(text) < signal.NSIG:
        return int(text)
    try:
        return signal.Signals[f"SIG{name}"].value
    except KeyError:
        raise UsageError(f"unknown signal {text!r}", hint="such as TERM, USR1 or 10") from None


def name_here(uid: int) -> str | None:
    """The user's name on this machine; None if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return None


def user_name(uid: int) -> str:
    """The user's name on this machine, or `uid N` if it has none."""
    return name_here(uid) or f"uid {uid}"


# Names and priorities of jobs.

_MOST_PRIORITY = 1e6


def check_job_name(name: str) -> str:
    """The name. `UsageError` if no job can have it."""
    if not name or not name.isprintable() or len(name) > 128:
        raise UsageError(f"{name[:40]!r} cannot be a job's name", hint="1 to 128 printable characters")
    from clbalance.policy.jobs.names import default_name, why_no_name  # few verbs name jobs

    if reason := why_no_name(name):
        hint = f"such as `--name {default_name(name)}`"
        raise UsageError(f"`{name}` cannot be a job's name: where a job is named, {reason}", hint=hint)
    return name


def check_priority(number: float) -> float:
    """The priority. `UsageError` if no job can have it."""
    if not abs(number) <= _MOST_PRIORITY:
        raise UsageError(f"`--priority` cannot be {number:g}", hint=f"from -{_MOST_PRIORITY:g} to {_MOST_PRIORITY:g}")
    return number


def check_account(name: str | None) -> str | None:
    """The name of an account, if there is one. `UsageError` if none can have it."""
    if name is not None and not (re.fullmatch(r"[^\s,]{1,64}", name) and name.isprintable()):
        raise UsageError(
            f"`--account` cannot be {name[:40]!r}", hint="one word of at most 64 characters, such as `lab3`"
        )
    return name
