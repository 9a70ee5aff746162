"""History for drawing: points of a node to lines, one per index, and lines to cells, one per column. Pure.

All lines of a drawing share one axis. A cell in which the node was not asked is empty; a cell in which it never
answered is marked.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median_low

from clbalance.lazy_dataclass import dataclass
from clbalance.model.node_history import Aggregate, SeriesPoint
from clbalance.policy.indices.row import Series
from clbalance.policy.indices.table import ANSWERS, GPU_SERIES, NODE_SERIES


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPoint:
    """One index at one time; no value: the node was asked, but the index is unknown."""

    at_s: int
    span_s: int
    figure: Aggregate | None
    answered: int
    is_silent: bool
    """Whether to mark this point: the node did not answer, or in the line of answers, an answer is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesLine:
    """One index of one node, or of one of its GPUs, over time."""

    index: Series
    gpu: int | None = None
    points: tuple[GraphPoint, ...]

    @property
    def known(self) -> list[tuple[GraphPoint, Aggregate]]:
        """The points that have a value; at least one."""
        return [(point, point.figure) for point in self.points if point.figure is not None]

    @property
    def total(self) -> Aggregate:
        """The aggregate of all points, each weighted by its number of samples."""
        known = self.known
        weights = [max(1, point.answered) for point, _ in known]
        mean = sum(figure.mean * weight for (_, figure), weight in zip(known, weights, strict=True)) / sum(weights)
        return Aggregate(min(figure.least for _, figure in known), mean, max(figure.most for _, figure in known))

    @property
    def last(self) -> float:
        """The last known value."""
        return self.known[-1][1].mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Columns of equal time; the last column ends at the end of the shown time."""

    since_s: float
    step_s: float
    cells: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeCell:
    """One column of one line."""

    value: float | None = None
    is_silent: bool = False


def series_of(points: Sequence[SeriesPoint], wanted: frozenset[str] = frozenset()) -> tuple[SeriesLine, ...]:
    """The lines of one node that have a value; `wanted`: names of `Series`, empty for all."""
    lines = [_answers(points)]
    lines += [_line(points, index, {point.at_s: point.values for point in points}) for index in NODE_SERIES]
    for gpu in sorted({number for point in points for number in point.gpus}):
        values = {point.at_s: point.gpus.get(gpu, {}) for point in points}
        lines += [_line(points, index, values, gpu) for index in GPU_SERIES]
    return tuple(line for line in lines if line.known and (not wanted or line.index.name in wanted))


def _answers(points: Iterable[SeriesPoint]) -> SeriesLine:
    return SeriesLine(
        index=ANSWERS,
        points=tuple(
            GraphPoint(
                at_s=point.at_s,
                span_s=point.span_s,
                figure=_same(100.0 * (point.asked - point.silent) / point.asked),
                answered=point.asked,
                is_silent=point.silent > 0,
            )
            for point in points
        ),
    )


def _same(value: float) -> Aggregate:
    return Aggregate(value, value, value)


def _line(
    points: Iterable[SeriesPoint], index: Series, values: Mapping[int, Mapping[str, Aggregate]], gpu: int | None = None
) -> SeriesLine:
    return SeriesLine(
        index=index,
        gpu=gpu,
        points=tuple(
            GraphPoint(
                at_s=point.at_s,
                span_s=point.span_s,
                figure=values[point.at_s].get(index.key),
                answered=point.asked - point.silent,
                is_silent=point.silent == point.asked,
            )
            for point in points
        ),
    )


def axis_of(lines: Iterable[SeriesLine], since_s: float, until_s: float, width: int) -> Axis:
    """At most `width` columns, and none shorter than the usual time between samples, or half would be empty."""
    usual_s = max((_usual_step_s(line.points) for line in lines), default=1.0)
    step_s = max((until_s - since_s) / width, usual_s, 1.0)
    cells = max(1, min(width, math.ceil((until_s - since_s) / step_s)))
    return Axis(since_s=until_s - cells * step_s, step_s=step_s, cells=cells)


def _usual_step_s(points: Sequence[GraphPoint]) -> float:
    """The usual time between two samples plus a fifth: a sweep every five minutes is late now and then."""
    steps = [following.at_s - point.at_s for point, following in pairwise(points)]
    return 1.2 * median_low(steps) if steps else 1.0


def cells_of(line: SeriesLine, axis: Axis) -> tuple[TimeCell, ...]:
    """The means of the points in each column; a point that spans several columns is in all of them."""
    sums = [0.0] * axis.cells
    weights = [0] * axis.cells
    silent = [False] * axis.cells
    for point in line.points:
        for at in _columns(point, axis):
            silent[at] |= point.is_silent
            if point.figure is not None:
                weight = max(1, point.answered)
                sums[at] += point.figure.mean * weight
                weights[at] += weight
    return tuple(
        TimeCell(
            value=total / weight if weight else None, is_silent=is_silent and (not weight or line.index is ANSWERS)
        )
        for total, weight, is_silent in zip(sums, weights, silent, strict=True)
    )


def _columns(point: GraphPoint, axis: Axis) -> range:
    first = int((point.at_s - axis.since_s) // axis.step_s)
    last = int((point.at_s + max(1, point.span_s) - 1 - axis.since_s) // axis.step_s)
    # A point no longer than a column belongs to the column in which it begins.
    last = first if point.span_s <= axis.step_s else last
    return range(max(0, first), min(axis.cells - 1, last) + 1)
