"""Numbers in readable form, and escapes for text from nodes and users: all such text passes through here."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

DASH = "-"
"""Shown for an unknown value: never a zero, never empty."""

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
    """A run queue length, as in `uptime`; without decimals from 100 on."""
    return f"{length:.2f}" if length < 99.995 else f"{length:.0f}"


def span(seconds: float) -> str:
    """A duration in one unit, which cannot be mistaken for a time of day: `30 s`, `43.6 min`, `2.5 h`, `3 d`."""
    for unit_s, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def duration(seconds: float) -> str:
    """A duration: `0.31s`, `12.4s`, `2:05`, `1:02:05`; `-` for infinity or not a number."""
    if not math.isfinite(seconds):
        return DASH
    if seconds < 59.95:
        return f"{seconds:.2f}s" if seconds < 9.995 else f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def stamp(at: datetime, now: datetime | None = None) -> str:
    """A time: `14:02` on the day of `now`, `11-29 14:02` in its year, else with the year; in full if `now` is None."""
    if now is None:
        return f"{at:%Y-%m-%d %H:%M:%S}"
    if at.date() == now.date():
        return f"{at:%H:%M}"
    return f"{at:%m-%d %H:%M}" if at.year == now.year else f"{at:%Y-%m-%d}"


# Escapes for text from nodes and users, before it is written to a terminal or a mail.
#
# The input may be anything. The output has no C0 control (`escape_text` keeps newline and tab), no DEL, no C1, no lone
# surrogate, and none of the invisible characters that reorder or hide text (CVE-2021-42574). They become escapes, such
# as `\x1b`, and are never dropped: an administrator must see that they were there. JSON is ASCII, and needs none of it.

_HIDING = (
    "\u00ad\u061c\u180e\u200b-\u200f"  # soft hyphen, Arabic and Mongolian marks, zero width, left-to-right marks
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # separators, overrides, isolates, joiners, annotations
    "\ud800-\udfff"  # surrogates: undecodable bytes, which no output encoding takes
    "\U000e0000-\U000e007f"  # tags: invisible ASCII
)
_UNSAFE = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_HIDING}]")
_UNSAFE_IN_LINE = re.compile(rf"[\x00-\x1f\x7f-\x9f{_HIDING}]")


def escape_text(text: str) -> str:
    """`text` of any number of lines, with everything that could control a terminal shown as escapes."""
    return _UNSAFE.sub(_escape, text)


def escape_line(text: str) -> str:
    """`text` for use in one line: newlines and tabs become escapes too, so that no row can be faked or split."""
    return _UNSAFE_IN_LINE.sub(_escape, text)


def escape_character(character: str) -> str:
    """The escape of one character as in Python; a surrogate that stands for an undecodable byte gives that byte."""
    point = ord(character)
    if 0xDC80 <= point <= 0xDCFF:
        point -= 0xDC00
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def _escape(match: re.Match[str]) -> str:
    return escape_character(match[0])


Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"


def finite(value: float | None) -> float | None:
    """`value`, or None for infinity and not a number, which JSON cannot express."""
    return value if value is not None and math.isfinite(value) else None
