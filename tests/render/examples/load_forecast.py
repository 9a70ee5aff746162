"""One node with a forecast and one past the limit, one of which little is known, and one that never answered."""

from clbalance.model import Cause, NodeName
from clbalance.model.forecast import Expected, NodeForecast, Peaks
from clbalance.render.report import Report
from clbalance.render.reports.nodes.load_forecast import LoadForecastReport
from tests.render.build import silent, up
from tests.render.examples import Example


def _forecast(queue: float, use: float) -> NodeForecast:
    return NodeForecast(
        expected={
            "r1m_per_cpu": Expected(value=queue, error=0.08, last_error=0.125, by="median of 12"),
            "ut_pct": Expected(value=use, error=4.0, last_error=6.5, by="hour of the day"),
        },
        peaks=Peaks(cpu_use_p95_pct=85.0, mem_used_p98_pct=60.0),
    )


_NEW = NodeForecast(
    expected={"r1m_per_cpu": Expected(value=0.25, error=None, last_error=None, by="last value")},
    peaks=Peaks(cpu_use_p95_pct=None, mem_used_p98_pct=None),
)
REPORT = LoadForecastReport(
    rows=[up("node1"), up("node2", r1m=3.0), up("node3"), silent("node4", "No route to host", Cause.UNREACHABLE)],
    forecasts={
        NodeName("node1"): _forecast(0.5, 42.0),
        NodeName("node2"): _forecast(1.25, 97.0),
        NodeName("node3"): _NEW,
    },
    ahead_s=1800.0,
    limit=1.0,
)
EXAMPLES = (Example("load-forecast", (REPORT,)),)


def hostile(one: str, other: str) -> list[Report]:
    rows = [up(one), silent(other, one, Cause.GARBLED)]
    return [LoadForecastReport(rows=rows, forecasts={NodeName(one): _NEW}, ahead_s=60.0, limit=None)]
