"""One node of each kind."""

from dataclasses import replace

from clbalance.model import Allocation, Cause, Measured, Unknown
from clbalance.model.plugins import CheckResult, CheckState, ExternalIndex, ExternalUnit, ExternalValue, SiteReading
from clbalance.render.report import Report
from clbalance.render.reports.nodes.load import LoadReport
from clbalance.render.views import NodeRow
from tests.render.build import DRAINED, GIB, LEASED, busy, gpu, silent, small_cluster, up
from tests.render.examples import Example

SCRATCH = ExternalIndex(name="scratch", unit=ExternalUnit.PERCENT, busy_below=5)
CACHE = ExternalIndex(name="cache", unit=ExternalUnit.BYTES)
SECRET = ExternalIndex(name="secret", has_column=False)
HUNG = Unknown(reason="did not end within 2 s")


def with_plugins(row: NodeRow, scratch: float | Unknown, check: CheckState, text: str) -> NodeRow:
    """What plug-ins said of the node."""
    assert isinstance(row.answer, Measured)
    values = (ExternalValue(SCRATCH, scratch), ExternalValue(CACHE, 3.5 * GIB), ExternalValue(SECRET, 0.25))
    return replace(row, answer=replace(row.answer, site=SiteReading(values, (CheckResult("disk", check, text),))))


PLUGINS = (
    with_plugins(up("n1"), 40.0, CheckState.OK, "DISK OK"),
    with_plugins(replace(up("n2", 70.0), reason="check disk warning: low"), HUNG, CheckState.WARNING, "low"),
    with_plugins(busy("n3", ["scratch"], "scratch is 1%"), 1.0, CheckState.UNKNOWN, "timed out"),
    with_plugins(replace(up("n4", None), state="unfit", reason="check disk critical: gone"), 9.0, CheckState.CRITICAL, "gone"),
    silent("n5"),
)  # fmt: skip
EXAMPLES = (Example("load", (LoadReport(small_cluster()),)), Example("load-plugins", (LoadReport(PLUGINS),)))


def hostile(one: str, other: str) -> list[Report]:
    rows = [
        silent(one, other, Cause.GARBLED),
        replace(with_plugins(up(one), Unknown(reason=other), CheckState.WARNING, one), reason=other),
        up(other, boot_id=one, gpus=[gpu(holder=other)], r1m=float("inf")),
        up(
            one,
            leases=[replace(LEASED, key=other, allocation=Allocation(name=one, gpus=(other,)))],
            drains=[replace(DRAINED, by=one, reason=other)],
        ),
    ]
    return [LoadReport(rows)]
