"""One node of each kind."""

from dataclasses import replace

from clbalance.model import Allocation, Cause
from clbalance.render.report import Report
from clbalance.render.reports.nodes.load import LoadReport
from tests.render.build import DRAINED, LEASED, gpu, silent, small_cluster, up
from tests.render.examples import Example

EXAMPLES = (Example("load", (LoadReport(small_cluster()),)),)


def hostile(one: str, other: str) -> list[Report]:
    rows = [
        silent(one, other, Cause.GARBLED),
        up(other, boot_id=one, gpus=[gpu(holder=other)], r1m=float("inf")),
        up(
            one,
            leases=[replace(LEASED, key=other, allocation=Allocation(name=one, gpus=(other,)))],
            drains=[replace(DRAINED, by=one, reason=other)],
        ),
    ]
    return [LoadReport(rows)]
