"""`load --forecast`: what is measured of each node, what to expect of it, and how wrong that usually is."""

from collections.abc import Mapping, Sequence
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, NodeName, Unknown
from clbalance.model.forecast import Expected, NodeForecast
from clbalance.policy.indices.row import AnsweredNode, Index, Unit
from clbalance.policy.indices.table import INDICES
from clbalance.render.forecast import forecast_document
from clbalance.render.node_json import node_document
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.reports.nodes.load import LOAD_FIELDS, load_fields, reason_text, state_cell
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, finite, queue, span
from clbalance.render.views import NodeRow, least_loaded_first

_SHOWN: Final = tuple(index for index in INDICES if index.history and index.history.in_forecasts)
_HEADINGS: Final = {"r1m": ("r1m/cpu", ""), "ut": ("UT", "UT ")}
"""The heading of each index, and what stands before that of its forecast."""
_QUEUE: Final = "r1m"
_UNKNOWN: Final = Cell(DASH, Tone.QUIET)

FORECAST_FIELDS: Final = (
    *LOAD_FIELDS,
    *(f"{index.series.key}_{part}" for index in _SHOWN for part in ("expected", "error")),
    "cpu_use_p95_pct", "mem_used_p98_pct",
)  # fmt: skip
"""The fields in plain text: those of `load`, what is expected of each index with its usual error, and the peaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadForecastReport(Report):
    """The nodes, least loaded first. `limit`: of the load per cpu; a load beyond it that is expected is marked."""

    rows: Sequence[NodeRow]
    forecasts: Mapping[NodeName, NodeForecast]
    ahead_s: float
    limit: float | None

    def human(self, display: Display) -> str:
        """The table, and what its columns mean."""
        meaning = "expected +- the usual error; PEAK: what was not passed in 95% (UT) and 98% (MEM) of the last day"
        return display.table(self._table(), last="cut") + f"{self._heading}: {meaning}\n"

    def plain(self) -> str:
        """The `FORECAST_FIELDS` of each node."""
        return plain_lines((*load_fields(row), *self._numbers(row)) for row in least_loaded_first(self.rows))

    def json(self) -> dict[str, Json]:
        return {
            "ahead_s": self.ahead_s,
            "nodes": [
                {**node_document(row), "forecast": forecast_document(self.forecasts.get(row.node))}
                for row in least_loaded_first(self.rows)
            ],
        }

    @property
    def _heading(self) -> str:
        return f"IN {span(self.ahead_s)}"

    def _table(self) -> Table:
        ordered = least_loaded_first(self.rows)
        reasons = [reason_text(row) for row in ordered]
        has_reasons = any(reasons)
        of_indices = (
            Column(heading=heading, align="right", sacrifice=sacrifice)
            for place, index in enumerate(_SHOWN)
            for now, ahead in [_HEADINGS[index.name]]
            for heading, sacrifice in ((now, 3 * place), (f"{ahead}{self._heading}", 2 * place))
        )
        peaks = (Column(heading=heading, align="right", sacrifice=1) for heading in ("PEAK UT", "PEAK MEM"))
        last = (Column(heading="REASON"),) if has_reasons else ()
        return Table(
            columns=(Column(heading="NODE"), Column(heading="STATE"), *of_indices, *peaks, *last),
            rows=tuple(
                (Cell(row.node), state_cell(row), *self._cells(row), *((Cell(reason),) if has_reasons else ()))
                for row, reason in zip(ordered, reasons, strict=True)
            ),
        )

    def _cells(self, row: NodeRow) -> list[Cell]:
        found = self.forecasts.get(row.node)
        cells = []
        for index in _SHOWN:
            expected = None if found is None else found.expected.get(index.series.key)
            cells += [_now(row, index), self._expected(index, expected)]
        peaks = (None, None) if found is None else (found.peaks.cpu_use_p95_pct, found.peaks.mem_used_p98_pct)
        return [*cells, *(_UNKNOWN if peak is None else Cell(f"{peak:.0f}%") for peak in peaks)]

    def _expected(self, index: Index, expected: Expected | None) -> Cell:
        if expected is None:
            return _UNKNOWN
        is_past = index.name == _QUEUE and self.limit is not None and expected.value > self.limit
        error = "" if expected.error is None else f" +-{_text(index, expected.error)}"
        text = f"{'*' if is_past else ''}{_text(index, expected.value)}{error}"
        return Cell(text, Tone.WARN if is_past else Tone.PLAIN)

    def _numbers(self, row: NodeRow) -> list[Json]:
        found = self.forecasts.get(row.node)
        if found is None:
            return [None] * (len(FORECAST_FIELDS) - len(LOAD_FIELDS))
        expected = [found.expected.get(index.series.key) for index in _SHOWN]
        pairs = [(None, None) if one is None else (finite(one.value), finite(one.error)) for one in expected]
        return [*(part for pair in pairs for part in pair), found.peaks.cpu_use_p95_pct, found.peaks.mem_used_p98_pct]


def _now(row: NodeRow, index: Index) -> Cell:
    value = index.kept(AnsweredNode.of(row.answer)) if isinstance(row.answer, Measured) else None
    return _UNKNOWN if value is None or isinstance(value, Unknown) else Cell(_text(index, value))


def _text(index: Index, value: float) -> str:
    return f"{value:.0f}%" if index.series.unit is Unit.PERCENT else queue(value)
