"""A map of one node of each kind, in the forms for programs the report of `load`."""

from dataclasses import replace

from clbalance.model import Cause, NodeName
from clbalance.render.report import Report
from clbalance.render.reports.nodes.load_heat import LoadHeatReport
from clbalance.render.sparkline import ASCII, UNICODE
from tests.render.build import silent, small_cluster, up
from tests.render.examples import Example

_AS_LOAD = {"json": "load-json.json", "plain": "load-plain.txt"}
_ROWS = [
    *small_cluster(),
    silent("node13", "", Cause.NOT_AWAITED),
    replace(silent("node14"), state="suspect"),
    replace(up("node15"), state="unfit"),
]
EXAMPLES = (
    Example("load-heat", (LoadHeatReport(rows=small_cluster(), blocks=UNICODE),), files=_AS_LOAD),
    Example("load-heat-ascii", (LoadHeatReport(rows=_ROWS, blocks=ASCII),)),
)


def hostile(one: str, other: str) -> list[Report]:
    rows = [silent(one, other, Cause.GARBLED), up(other, r1m=float("inf")), up("node1")]
    labels = {NodeName(other): one, NodeName("node1"): other}
    return [
        LoadHeatReport(rows=rows, blocks=UNICODE, labels=labels),
        LoadHeatReport(rows=rows, blocks=ASCII),
    ]
