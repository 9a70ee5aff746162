"""A few points of three nodes; one is silent, and of one nothing is known. A whole day is in test_history.py."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clbalance.model import NodeName
from clbalance.model.forecast import Expected
from clbalance.model.node_history import Aggregate, SeriesPoint
from clbalance.policy.history import series_of
from clbalance.render.report import Report
from clbalance.render.reports.nodes.history import HistoryForecasts, HistoryReport
from clbalance.render.sparkline import UNICODE
from tests.render.examples import Example

_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def _points(*values: float | None) -> list[SeriesPoint]:
    return [
        SeriesPoint(
            at_s=int(_NOON.timestamp()) - 3600 * (len(values) - number),
            span_s=60,
            asked=1,
            silent=int(value is None),
            values={} if value is None else {"r1m_per_cpu": Aggregate(0.0, value, 2 * value)},
            gpus={} if value is None else {0: {"use_pct": Aggregate(value, value, value)}},
        )
        for number, value in enumerate(values)
    ]


_SHORT = HistoryReport(
    since=_NOON - timedelta(hours=4),
    until=_NOON,
    nodes=(
        (NodeName("node1"), series_of(_points(0.25, None, 1.5))),
        (NodeName("node2"), series_of(_points(None))),
        (NodeName("node3"), ()),
    ),
    blocks=UNICODE,
)
_FORECASTS = HistoryForecasts(
    ahead_s=1800.0,
    at_s=int(_NOON.timestamp()) + 1800,
    expected={NodeName("node1"): {"r1m_per_cpu": Expected(value=0.5, error=0.25, last_error=0.75, by="median of 5")}},
)
EXAMPLES = (
    Example("history-short", (_SHORT,)),
    Example("history-forecast", (replace(_SHORT, forecasts=_FORECASTS),)),
)


def hostile(one: str, other: str) -> list[Report]:
    nodes = tuple((NodeName(name), series_of(_points(0.25, None))) for name in (one, other))
    return [replace(_SHORT, nodes=nodes)]
