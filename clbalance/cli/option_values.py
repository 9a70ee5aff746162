"""Values as people type and read them: points in time, signals, names of users, options for ssh."""

import pwd
import re
import shlex
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from clbalance.errors import UsageError
from clbalance.units import parse_duration

_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_INSTANT_HINT = "like `18:00`, `2026-11-27`, `2026-11-27 06:00` or `2026-11-27T06:00+01:00`, and still to come"


def parse_future_time(text: str, what: str, now: datetime) -> datetime:
    """`18:00` (today or, where that has passed, tomorrow), `2026-11-27 06:00`, or ISO 8601; in local time, if not told.

    `now` is aware. `what` names the option in the `UsageError`.
    """
    found = _read(text.strip(), now)
    if found is None or found <= now:
        reason = " (that has passed)" if found is not None else ""
        raise UsageError(f"{what} cannot be {text[:40]!r}{reason}", hint=_INSTANT_HINT)
    return found


def _read(text: str, now: datetime) -> datetime | None:
    try:
        if _OF_DAY.fullmatch(text):
            today = now.astimezone().date()
            moment = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").time()  # noqa: DTZ007 - of any day
            # The clock on the wall, not 24 hours: a day may have 23 or 25.
            days = (datetime.combine(today + timedelta(days=later), moment).astimezone() for later in (0, 1))
            return next((day for day in days if day > now), None)
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        return None


# Points in time as people type them.

_MOMENT_HINT = "like `2h` (ago), `3d`, `2026-11-26`, `2026-11-26T14:30`, `today` or `yesterday`"


def parse_past_time(text: str, what: str, now: datetime) -> datetime:
    """How long ago, a date, a date with a time (of this host's zone where it names none), or a word for a midnight."""
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


# Signals as people type them.


def parse_signal(text: str) -> int:
    """`USR1`, `SIGUSR1`, `usr1` or `10`."""
    name = text.upper().removeprefix("SIG")
    if re.fullmatch(r"[0-9]{1,2}", text) and 0 < int(text) < signal.NSIG:
        return int(text)
    try:
        return signal.Signals[f"SIG{name}"].value
    except KeyError:
        raise UsageError(f"there is no signal {text!r}", hint="such as TERM, USR1 or 10") from None


def user_name(uid: int) -> str:
    """As this machine knows them."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


# Options for ssh as typed after `-o`, or configured, before ssh sees them.

_OF_SSH = "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy"


def check_ssh_options(options: str, where: str) -> None:
    """Raises `UsageError` for an open quotation mark, and for a configuration that others may write."""
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
    """ssh checks its user's own configuration, and not the one that `-F` names."""
    from clbalance.settings.trusted_file import check_trusted

    for name in _files(words):
        try:
            check_trusted(Path(name))
        except OSError:
            continue  # ssh says that better


def _files(words: list[str]) -> Iterator[str]:
    import getopt

    try:
        found, _ = getopt.getopt(words, _OF_SSH)
    except getopt.GetoptError:
        return  # ssh says that better
    for option, value in found:
        if option == "-F" and value not in {"none", "/dev/null"}:
            yield value
