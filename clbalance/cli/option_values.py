"""Parse values that users type: times to come, times past, signals, ssh options; and look up user names."""

import pwd
import re
import shlex
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from clbalance.errors import UsageError
from clbalance.units import parse_duration

_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_INSTANT_HINT = "like `18:00`, `2026-11-27`, `2026-11-27 06:00` or `2026-11-27T06:00+01:00`, and still to come"


def parse_future_time(text: str, what: str, now: datetime) -> datetime:
    """A time after `now`: `18:00` (today, or tomorrow if that has passed), `2026-11-27 06:00`, or ISO 8601.

    Without a time zone it is local time. `now` has a time zone. `what` names the option in the `UsageError`.
    """
    found = _read(text.strip(), now)
    if found is None or found <= now:
        reason = " (that has passed)" if found is not None else ""
        raise UsageError(f"{what} cannot be {text[:40]!r}{reason}", hint=_INSTANT_HINT)
    return found


def _read(text: str, now: datetime) -> datetime | None:
    try:
        if _TIME_OF_DAY.fullmatch(text):
            today = now.astimezone().date()
            moment = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
            # The same wall-clock time on the next day, not 24 hours later: a day may have 23 or 25 hours.
            days = (datetime.combine(today + timedelta(days=later), moment).astimezone() for later in (0, 1))
            return next((day for day in days if day > now), None)
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        return None


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
        return midnight.astimezone()
    if word == "now":
        return now
    try:
        if re.match(r"\d{4}-", word):
            return datetime.fromisoformat(text.strip()).astimezone()
        return now - timedelta(seconds=parse_duration(text, what))
    except (ValueError, OverflowError, UsageError):
        raise UsageError(f"{what} cannot be {text!r}", hint=_MOMENT_HINT) from None


# Signals and user names.


def parse_signal(text: str) -> int:
    """The number of a signal: `USR1`, `SIGUSR1`, `usr1` or `10`. `UsageError` for an unknown one."""
    name = text.upper().removeprefix("SIG")
    if re.fullmatch(r"[0-9]{1,2}", text) and 0 < int(text) < signal.NSIG:
        return int(text)
    try:
        return signal.Signals[f"SIG{name}"].value
    except KeyError:
        raise UsageError(f"there is no signal {text!r}", hint="such as TERM, USR1 or 10") from None


def user_name(uid: int) -> str:
    """The user's name on this machine, or `uid N` if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


# Options for ssh, from `-o` or the settings, checked before ssh gets them.

_SSH_GETOPT = "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy"


def check_ssh_options(options: str, where: str) -> None:
    """Raises `UsageError` for an open quotation mark, and for an ssh configuration that other users can write."""
    try:
        words = shlex.split(options)
    except ValueError as error:
        raise UsageError(
            f"{where} cannot be {options!r}: {str(error)[:1].lower()}{str(error)[1:]}",
            hint="options for ssh as a shell would take them, such as `-o '-F FILE'` or `-o '-p 2222'`",
        ) from None
    if "F" in options:
        _check_files(words)


def _check_files(words: list[str]) -> None:
    """Check the file that `-F` names: ssh itself checks only `~/.ssh/config`."""
    from clbalance.settings.trusted_file import check_trusted

    for name in _files(words):
        try:
            check_trusted(Path(name))
        except OSError:
            continue  # ssh has the better error message


def _files(words: list[str]) -> Iterator[str]:
    import getopt

    try:
        found, _ = getopt.getopt(words, _SSH_GETOPT)
    except getopt.GetoptError:
        return  # ssh has the better error message
    for option, value in found:
        if option == "-F" and value not in {"none", "/dev/null"}:
            yield value
