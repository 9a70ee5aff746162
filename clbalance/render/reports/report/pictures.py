"""The pictures of the HTML page, as inline SVG: load over time, utilisation of groups, waits. Rectangles and text only.

Colours are classes of the page's style sheet, so that they follow light and dark.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from html import escape
from itertools import groupby, islice
from typing import Final

from clbalance.model.report import PeriodReport
from clbalance.policy.report.jobs import WAIT_BOUNDS_S
from clbalance.render.reports.report.sections import all_and_groups, percent
from clbalance.render.text import escape_line, span

_WIDTH: Final = 840
_LABEL: Final = 150
"""Room for names on the left."""
_ROW: Final = 16
_BAR: Final = 60
_LOAD_BOUNDS: Final = (0.1, 0.5, 0.8, 1.0)
"""As in the map of `load --heat`."""
_LOAD_WORDS: Final = ("below 0.1", "below 0.5", "below 0.8", "below 1", "1 and more")
_MOST_GROUPS: Final = 12
_NAME_CHARS: Final = 22


def load_picture(report: PeriodReport) -> str:
    """A row of squares for each node, darker with more load per cpu; empty: nothing is known."""
    rows = [row for row in report.load if any(cell is not None for cell in row.cells)]
    if not rows:
        return ""
    height = (len(rows) + 1) * _ROW + 24
    parts = [*_legend()]
    for number, row in enumerate(rows):
        y = 24 + number * _ROW
        parts.append(_name(row.name, y + 12))
        at = 0
        for shade, run in groupby(row.cells, _shade):
            cells = len(list(run))
            if shade is not None:
                left, right = (_x(one, len(row.cells)) for one in (at, at + cells))
                parts.append(_rect(left, y, right - left, _ROW - 2, f"l{shade}"))
            at += cells
    parts += _days(report, height - 4)
    return _svg("Load of each node over time", height, parts)


def use_picture(report: PeriodReport) -> str:
    """The share of cpus and of GPUs in use over time, two rows of bars for each group; empty: nothing is known."""
    shown: list[tuple[str, str, Sequence[float | None]]] = []
    for group in islice(all_and_groups(report), _MOST_GROUPS):
        both = ((f"{group.name}, cpus", "c", group.cpu_by_time), (f"{group.name}, GPUs", "g", group.gpu_by_time))
        shown += [one for one in both if any(cell is not None for cell in one[2])]
    if not shown:
        return ""
    step = _BAR + 12
    parts = []
    for number, (name, kind, bars) in enumerate(shown):
        top = number * step + 4
        parts.append(_name(name, top + _BAR / 2))
        parts.append(_rect(_LABEL, top + _BAR, _WIDTH - _LABEL, 1, "axis"))
        for at, bar in enumerate(bars):
            if bar is not None:
                tall = max(1.0, _BAR * min(100.0, bar) / 100)
                left, right = _x(at, len(bars)), _x(at + 1, len(bars))
                parts.append(_rect(left, top + _BAR - tall, max(1.0, right - left - 1), tall, kind, percent(bar)))
    height = len(shown) * step + 20
    parts += _days(report, height - 4)
    return _svg("Utilisation of each group over time", height, parts)


def waits_picture(report: PeriodReport) -> str:
    """How many jobs waited how long; empty: none started."""
    counts = report.waits.counts
    if not report.waits.jobs:
        return ""
    words = [f"below {span(bound)}" for bound in WAIT_BOUNDS_S] + [f"{span(WAIT_BOUNDS_S[-1])} and more"]
    parts = []
    for number, (word, count) in enumerate(zip(words, counts, strict=True)):
        y, wide = number * 24 + 4, (_WIDTH - _LABEL - 70) * count / max(counts)
        parts.append(_name(word, y + 13))
        parts.append(_rect(_LABEL, y, max(wide, 1.0 if count else 0.0), 18, "c"))
        parts.append(f'<text x="{_LABEL + wide + 6:.1f}" y="{y + 13}">{count}</text>')
    return _svg("How long jobs waited for their start", len(words) * 24 + 8, parts)


def _shade(load: float | None) -> int | None:
    return None if load is None else sum(load >= bound for bound in _LOAD_BOUNDS)


def _legend() -> Iterator[str]:
    for number, word in enumerate(_LOAD_WORDS):
        x = _LABEL + number * 118
        yield _rect(x, 4, 12, 12, f"l{number}")
        yield f'<text x="{x + 17}" y="14">{escape(word)}</text>'


def _days(report: PeriodReport, y: float) -> Iterator[str]:
    """Dates below a picture, at most eight; of a short period, times of day."""
    period = report.period
    form = "%m-%d" if period.seconds > 2 * 86_400 else "%H:%M"
    for at in range(7):
        moment: datetime = period.since + timedelta(seconds=period.seconds * at / 7)
        yield f'<text class="when" x="{_x(at, 7):.1f}" y="{y}">{escape(f"{moment:{form}}")}</text>'


def _x(at: int, of: int) -> float:
    """The left edge of a column."""
    return _LABEL + (_WIDTH - _LABEL) * at / of


def _rect(x: float, y: float, wide: float, tall: float, kind: str, title: str = "") -> str:
    told = f"><title>{escape(title)}</title></rect>" if title else "/>"
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}"{told}'


def _name(text: str, y: float) -> str:
    """A name on the left, whole in its title."""
    whole = escape_line(text)
    short = whole if len(whole) <= _NAME_CHARS else f"{whole[: _NAME_CHARS - 1]}…"
    return f'<text x="0" y="{y:.1f}"><title>{escape(whole)}</title>{escape(short)}</text>'


def _svg(label: str, height: float, parts: Iterable[str]) -> str:
    size = f'viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" height="{height:.0f}"'
    return f'<svg {size} role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
