"""Bars that show a share, for lines of a frame."""

from clbalance.render.lines import Line
from clbalance.render.table import Cell, Tone

_HIGH_PCT = 75.0
_FULL_PCT = 95.0


def bar(share_pct: float, width: int) -> Line:
    """`[|||     ]`, `width` columns wide; its length says what its colour says."""
    inner = max(0, width - 2)
    filled = round(inner * min(max(share_pct, 0.0), 100.0) / 100)
    return Cell("["), Cell("|" * filled, tone_of(share_pct)), Cell(" " * (inner - filled)), Cell("]")


def tone_of(share_pct: float) -> Tone:
    """The tone of a used share."""
    return Tone.BAD if share_pct >= _FULL_PCT else Tone.WARN if share_pct >= _HIGH_PCT else Tone.GOOD
