"""Points in time as people type them."""

import re
from datetime import datetime, timedelta

from clbalance.errors import UsageError

_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_HINT = "like `18:00`, `2026-11-27`, `2026-11-27 06:00` or `2026-11-27T06:00+01:00`, and still to come"


def parse_instant(text: str, what: str, now: datetime) -> datetime:
    """`18:00` (today or, where that has passed, tomorrow), `2026-11-27 06:00`, or ISO 8601; in local time, if not told.

    `now` is aware. `what` names the option in the `UsageError`.
    """
    found = _read(text.strip(), now)
    if found is None or found <= now:
        why = " (that has passed)" if found is not None else ""
        raise UsageError(f"{what} cannot be {text[:40]!r}{why}", hint=_HINT)
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
