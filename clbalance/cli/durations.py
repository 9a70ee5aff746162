"""Durations as people type them."""

import re

from clbalance.errors import UsageError

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WORDS = re.compile(r"(?:(\d+(?:\.\d+)?)([smhd]))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_CLOCK = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")
_LONGEST_S = 10 * 365 * 86400


def parse_duration(text: str, what: str) -> float:
    """Seconds in `90`, `90s`, `2m`, `1h30m`, `1.5h`, `2d`, or Slurm's `MM:SS`, `HH:MM:SS`, `D-HH:MM:SS`.

    A bare number is seconds, as in timeout(1). `what` names the option in the `UsageError`.
    """
    seconds = _seconds(text.strip())
    if seconds is None or not 0 < seconds <= _LONGEST_S:
        raise UsageError(f"{what} cannot be {text!r}", hint="like `90`, `30s`, `2m`, `1h30m` or `1:30:00`, above 0")
    return seconds


def _seconds(text: str) -> float | None:
    if re.fullmatch(r"\d{1,12}(\.\d+)?", text):
        return float(text)
    if len(text) < 40 and _WORDS.fullmatch(text):
        return sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))
    clock = _CLOCK.fullmatch(text) if len(text) < 40 else None
    if clock is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in clock.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
