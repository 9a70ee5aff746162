"""Parse and format sizes (powers of 1024, as in `free -h`) and durations."""

import re

from clbalance.errors import UsageError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", re.IGNORECASE)
_FACTOR = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_MAX_BYTES = 2**50  # /proc/meminfo counts kilobytes; a petabyte is beyond any node


def parse_size(text: str) -> int:
    """`text` such as `16G` in bytes; `UsageError` if it is not a size up to a pebibyte."""
    found = _SIZE.fullmatch(text.strip())
    size_bytes = int(float(found[1]) * _FACTOR[found[2].upper()]) if found else -1
    if not 0 <= size_bytes <= _MAX_BYTES:
        raise UsageError(f"{text!r} is not a size", hint="like `16G`, `512M` or `1.5T`")
    return size_bytes


def format_size(count_bytes: float) -> str:
    """A size for a sentence: `2 GiB`, `512 MiB`."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count_bytes >= factor:
            return f"{count_bytes / factor:.3g} {unit}"
    return f"{count_bytes:.0f} B"


def counted(number: float, noun: str) -> str:
    """A number with its noun: `1 task`, `8 tasks`, `0.5 cpus`."""
    return f"{number:.15g} {noun}" if number == 1 else f"{number:.15g} {noun}s"


# -- durations

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
