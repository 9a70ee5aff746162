"""`replay`: a line for each policy, to compare them column by column."""

from collections.abc import Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.queue.replay_metrics import Figures, PolicyComparison
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table
from clbalance.render.text import DASH, Json, duration, finite

REPLAY_FIELDS = ("policy", *Figures.names(), "queue", "repeats")
"""The fields in plain text, a line for each policy; the names are the JSON keys."""

_COUNTS = ("placed", "refused")
_HEADINGS = {
    "placed": ("PLACED", 0),
    "refused": ("REFUSED", 0),
    "gpu_allocated_pct": ("GPU%", 0),
    "cpu_allocated_pct": ("CPU%", 0),
    "gpu_allocated_at_first_refusal_pct": ("GPU%@REFUSAL", 3),
    "wait_mean_s": ("WAIT", 1),
    "wait_p95_s": ("WAIT P95", 3),
    "bounded_slowdown_mean": ("SLOWDOWN", 1),
    "bounded_slowdown_max": ("MOST", 2),
    "max_over_mean": ("MAX/MEAN", 2),
}
"""The heading of each figure, and its `sacrifice` in a narrow terminal."""


@dataclass(frozen=True, slots=True)
class ReplayReport(Report):
    """The figures of each policy for a trace."""

    rows: Sequence[PolicyComparison]

    def human(self, display: Display) -> str:
        """Without figures that no policy has, and without waits if no job waited."""
        shown = [name for name in _HEADINGS if any(getattr(row.figures, name) is not None for row in self.rows)]
        if all(not row.figures.wait_mean_s and row.queue is None for row in self.rows):
            shown = [name for name in shown if not name.startswith(("wait", "bounded"))]
        columns = [Column(heading=_HEADINGS[name][0], align="right", sacrifice=_HEADINGS[name][1]) for name in shown]
        table = Table(
            columns=(Column(heading="POLICY"), *columns),
            rows=tuple((Cell(_label(row)), *(Cell(_text(row, name)) for name in shown)) for row in self.rows),
        )
        return display.table(table, last="cut")

    def plain(self) -> str:
        """The `REPLAY_FIELDS` of each policy."""
        return plain_lines((document[field] for field in REPLAY_FIELDS) for document in map(_document, self.rows))

    def json(self) -> dict[str, Json]:
        return {"policies": [_document(row) for row in self.rows]}


def _document(row: PolicyComparison) -> dict[str, Json]:
    """One policy as JSON. With several seeds, the figures are means, and `spread` has their standard deviations."""
    return {
        "policy": row.policy,
        **_values(row.figures),
        "queue": row.queue,
        "repeats": row.repeats,
        "spread": None if row.spread is None else _values(row.spread),
    }


def _values(figures: Figures) -> dict[str, Json]:
    return {name: _value(name, getattr(figures, name)) for name in Figures.names()}


def _value(name: str, value: float | None) -> Json:
    whole = name in _COUNTS and value is not None and value == int(value)
    return int(value) if whole and value is not None else finite(value)


def _label(row: PolicyComparison) -> str:
    return row.policy if row.queue is None else f"{row.policy} {row.queue}"


def _text(row: PolicyComparison, name: str) -> str:
    value = getattr(row.figures, name)
    spread = None if row.spread is None else getattr(row.spread, name)
    message = _words(name, value)
    return message if not spread else f"{message}±{_words(name, spread)}"


def _words(name: str, value: float | None) -> str:
    if value is None:
        return DASH
    if name.endswith("_s"):
        return duration(value)
    return f"{value:.0f}" if name in _COUNTS and value == int(value) else f"{value:.2f}"
