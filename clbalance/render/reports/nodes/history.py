"""`history`: a line for each index of each node."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.forecast import Expected
from clbalance.policy.history import Axis, SeriesLine, axis_of, cells_of
from clbalance.policy.indices.row import Series, Unit
from clbalance.policy.indices.samples import R1M_PER_CPU
from clbalance.render.forecast import expected_document
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.sparkline import Blocks, sparkline
from clbalance.render.table import GAP, LAST_NEEDS, Cell, Column, Table, Tone, fit
from clbalance.render.text import DASH, Json, iec, queue, span

HISTORY_FIELDS = ("name", "index", "gpu", "at_s", "span_s", "least", "mean", "most", "is_silent")
"""The fields in plain text, a line for each point: `index` is the JSON key, `at_s` is in seconds since 1970."""

_MAIN = "load"
_MORE = "`--index NAME` draws other values, `--index all` all of them\n"
_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="INDEX"),
    Column(heading="MIN", align="right", sacrifice=4),
    Column(heading="MEAN", align="right", sacrifice=3),
    Column(heading="MAX", align="right", sacrifice=2),
    Column(heading="LAST", align="right", sacrifice=1),
    Column(heading="SCALE", align="right", sacrifice=5),
    Column(heading="HISTORY"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryForecasts:
    """What is expected of nodes at one time, by the keys of history."""

    ahead_s: float
    at_s: int
    """Seconds since 1970."""
    expected: Mapping[NodeName, Mapping[str, Expected]]

    def of(self, node: NodeName, line: SeriesLine) -> Expected | None:
        """What is expected of a line. Of the load with recent placements it is that of the measured load."""
        key = R1M_PER_CPU if line.index.name == _MAIN else line.index.key
        return None if line.gpu is not None else self.expected.get(node, {}).get(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryReport(Report):
    """The named nodes in their order, each with its series; times are in the local time zone."""

    since: datetime
    until: datetime
    nodes: tuple[tuple[NodeName, tuple[SeriesLine, ...]], ...]
    blocks: Blocks
    is_brief: bool = False
    """For people: one line for each node. The other forms always have all lines."""
    forecasts: HistoryForecasts | None = None

    def human(self, display: Display) -> str:
        """The table and its legend; empty without any series."""
        shown = replace(self, nodes=tuple((node, _main_line(lines)) for node, lines in self.nodes))
        table, axis = history_table(shown if self.is_brief else self, display.drawing_width)
        return display.table(table, last="cut") + history_legend(self, axis) if table.rows else ""

    def plain(self) -> str:
        """The `HISTORY_FIELDS` of each point."""
        return plain_lines(history_rows(self))

    def json(self) -> dict[str, Json]:
        return history_document(self)


def history_table(report: HistoryReport, width: int) -> tuple[Table, Axis]:
    """The table, `width` columns wide, with the drawing in the rest of it; and the drawing's time axis."""
    tops = _tops(report)
    rows = [
        (
            Cell(node),
            Cell(index_label(line)),
            *(Cell(_text(value, line.index)) for value in (total.least, total.mean, total.most, line.last)),
            *_forecast_cells(report.forecasts, node, line),
            Cell(_scale(line.index, tops[line.index.name])),
        )
        for node, line in _lines(report)
        for total in [line.total]
    ]
    wanted = Cell("-" * width)
    fitted = fit(Table(columns=_columns(report.forecasts), rows=tuple((*row, wanted) for row in rows)), width)
    widths = fitted.widths()
    axis = _axis(report, max(LAST_NEEDS, width - sum(widths[:-1]) - GAP * (len(widths) - 1)))
    drawn = [sparkline(cells_of(line, axis), tops[line.index.name], report.blocks) for _, line in _lines(report)]
    cells = [Cell(text, bad=report.blocks.silence) for text in drawn]
    return replace(fitted, rows=tuple((*row[:-1], cell) for row, cell in zip(fitted.rows, cells, strict=True))), axis


def _columns(forecasts: HistoryForecasts | None) -> tuple[Column, ...]:
    if forecasts is None:
        return _COLUMNS
    expected = Column(heading=f"IN {span(forecasts.ahead_s)}", align="right")
    return (*_COLUMNS[:-2], expected, *_COLUMNS[-2:])


def _forecast_cells(forecasts: HistoryForecasts | None, node: NodeName, line: SeriesLine) -> list[Cell]:
    if forecasts is None:
        return []
    if (expected := forecasts.of(node, line)) is None:
        return [Cell(DASH, Tone.QUIET)]
    error = "" if expected.error is None else f" +-{_text(expected.error, line.index)}"
    return [Cell(f"{_text(expected.value, line.index)}{error}")]


def _main_line(lines: tuple[SeriesLine, ...]) -> tuple[SeriesLine, ...]:
    """The load, by which nodes are compared; of a node that never answered, that it did not."""
    return tuple(line for line in lines if line.index.name == _MAIN) or lines[:1]


def history_legend(report: HistoryReport, axis: Axis) -> str:
    """The time span of the drawing and of one of its columns, and the meaning of its signs."""
    form = "%Y-%m-%d %H:%M"
    since = datetime.fromtimestamp(axis.since_s, report.until.tzinfo)
    return (
        f"{since:{form}} to {report.until:{form}} {report.until:%Z}\n"
        f"a column is {span(axis.step_s)}\n"
        f"{report.blocks.silence}: no answer, blank: not asked or unknown\n" + (_MORE if report.is_brief else "")
    )


def index_label(line: SeriesLine) -> str:
    """The label of an index, such as `gut 0` for the first GPU."""
    return line.index.name if line.gpu is None else f"{line.index.name} {line.gpu}"


def history_document(report: HistoryReport) -> dict[str, Json]:
    """The report as JSON."""
    return {
        "since": report.since.isoformat(),
        "until": report.until.isoformat(),
        "nodes": [_node_document(node, lines, report.forecasts) for node, lines in report.nodes],
        **({} if report.forecasts is None else {"ahead_s": report.forecasts.ahead_s}),
    }


def history_rows(report: HistoryReport) -> Iterator[tuple[Json, ...]]:
    """The `HISTORY_FIELDS` of each point."""
    for node, line in _lines(report):
        for point in line.points:
            figure = point.figure
            parts = (None, None, None) if figure is None else (figure.least, figure.mean, figure.most)
            yield (node, line.index.key, line.gpu, point.at_s, point.span_s, *parts, int(point.is_silent))
        if (forecasts := report.forecasts) is not None and (one := forecasts.of(node, line)) is not None:
            least, most = (None, None) if one.error is None else (one.value - one.error, one.value + one.error)
            yield (node, line.index.key, None, forecasts.at_s, 0, least, one.value, most, 0)


def _lines(report: HistoryReport) -> Iterator[tuple[NodeName, SeriesLine]]:
    return ((node, line) for node, lines in report.nodes for line in lines)


def _axis(report: HistoryReport, width: int) -> Axis:
    lines = [line for _, line in _lines(report)]
    first_s = min((line.points[0].at_s for line in lines), default=0)
    return axis_of(lines, max(report.since.timestamp(), first_s), report.until.timestamp(), width)


def _tops(report: HistoryReport) -> dict[str, float]:
    """The value of a full bar for each index: the same on all nodes; 100 for percentages, else at least 1."""
    tops: dict[str, float] = {}
    for _, line in _lines(report):
        highest = 100.0 if line.index.unit is Unit.PERCENT else max(1.0, *(figure.mean for _, figure in line.known))
        tops[line.index.name] = max(tops.get(line.index.name, 0.0), highest)
    return tops


def _scale(index: Series, top: float) -> str:
    match index.unit:
        case Unit.PERCENT:
            return "0-100%"
        case Unit.KIB_PER_S:
            return f"0-{_text(top, index)}"
        case _:
            return f"0-{top:.3g}"


def _text(value: float, index: Series) -> str:
    match index.unit:
        case Unit.PERCENT:
            return f"{value:.1f}%" if value < 9.95 else f"{value:.0f}%"
        case Unit.KIB_PER_S:
            return iec(1024 * value)
        case _:
            return queue(value)


def _node_document(node: NodeName, lines: Sequence[SeriesLine], forecasts: HistoryForecasts | None) -> Json:
    gpus: dict[int, dict[str, Json]] = {}
    for line in lines:
        if line.gpu is not None:
            gpus.setdefault(line.gpu, {"index": line.gpu})[line.index.key] = _line_document(line)
    return {
        "name": node,
        "indices": {
            line.index.key: {**_line_document(line), **_forecast_document(node, line, forecasts)}
            for line in lines
            if line.gpu is None
        },
        "gpus": list(gpus.values()),
    }


def _forecast_document(node: NodeName, line: SeriesLine, forecasts: HistoryForecasts | None) -> dict[str, Json]:
    if forecasts is None:
        return {}
    one = forecasts.of(node, line)
    return {"forecast": None if one is None else expected_document(one)}


def _line_document(line: SeriesLine) -> dict[str, Json]:
    total = line.total
    return {
        "least": total.least,
        "mean": round(total.mean, 4),
        "most": total.most,
        "last": line.last,
        "points": [[point.at_s, figure.mean] for point, figure in line.known],
    }
