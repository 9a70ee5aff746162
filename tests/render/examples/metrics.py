"""One node of each kind, jobs, and what `rebalance` has counted."""

from dataclasses import replace

from clbalance.model import Cause, Unknown
from clbalance.render.report import Report
from clbalance.render.reports.nodes.metrics import MetricsReport
from tests.render.build import gpu, silent, small_cluster, up
from tests.render.examples import Example, one_file
from tests.render.examples.load import PLUGINS
from tests.render.examples.load_forecast import REPORT as OF_LOAD

REPORT = MetricsReport(
    rows=[
        *small_cluster(),
        *PLUGINS[:3],
        up("gpu1", gpus=[gpu(0, used_gib=40, use_pct=98.0, holder="python"), gpu(1, use_pct=Unknown(reason="MIG"))]),
    ],
    jobs={"RUNNING": 2, "PENDING": 0},
    queued=1,
    counters={"rebalance_runs_total": 7.0, "rebalance_score_after": 0.125, "rebalance_last_run_seconds": 1.7e9, "odd": 1.0},
    sweep_s=1.25,
    at_s=1772366400.5,
    forecasts=OF_LOAD.forecasts,
    version="VERSION",
)  # fmt: skip
EXAMPLES = (Example("metrics", (REPORT,), one_file("metrics.txt", "80", "140", "pipe", "plain")),)


def hostile(one: str, other: str) -> list[Report]:
    device = replace(gpu(holder=one), uuid=other, model=one)
    rows = [up(one, gpus=[device]), silent(other, one, Cause.HUNG)]
    return [replace(REPORT, rows=rows, jobs={one: 1}, version=other)]
