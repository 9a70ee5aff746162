"""Points in time as people type them."""

import re
from datetime import datetime, timedelta

from clbalance.cli.durations import parse_duration
from clbalance.errors import UsageError

_HINT = "like `2h` (ago), `3d`, `2026-11-26`, `2026-11-26T14:30`, `today` or `yesterday`"


def parse_moment(text: str, what: str, now: datetime) -> datetime:
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
        raise UsageError(f"{what} cannot be {text!r}", hint=_HINT) from None
