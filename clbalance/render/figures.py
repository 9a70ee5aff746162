"""Numbers as people read them, in few characters."""

import math

DASH = "-"
"""Shown for what is unknown: never a zero, never empty."""

_IEC = "BKMGTPE"


def iec(count_bytes: float) -> str:
    """`count_bytes` in powers of 1024, three digits at most, one decimal below ten: `512B`, `1.5K`, `31G`."""
    value = float(max(count_bytes, 0))
    for unit in _IEC:
        decimals = 1 if value < 9.95 and unit != "B" else 0
        if round(value, decimals) < 1000 or unit == _IEC[-1]:
            break
        value /= 1024
    return f"{value:.{decimals}f}{unit}"


def queue(length: float) -> str:
    """A run queue length as `uptime` has it; from 100 on the decimals tell nothing."""
    return f"{length:.2f}" if length < 99.995 else f"{length:.0f}"


def span(seconds: float) -> str:
    """In one unit, which no clock time can be mistaken for: `30 s`, `43.6 min`, `2.5 h`, `3 d`."""
    for unit_s, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def duration(seconds: float) -> str:
    """`0.31s`, `12.4s`, `2:05`, `1:02:05`."""
    if not math.isfinite(seconds):
        return DASH
    if seconds < 59.95:
        return f"{seconds:.2f}s" if seconds < 9.995 else f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
