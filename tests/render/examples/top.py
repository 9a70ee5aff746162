"""A round of `top` in each view."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clbalance.model import Allocation, GpuProcess, NodeName, Unknown
from clbalance.model.job_record import JobRecord, JobState
from clbalance.model.node_history import Aggregate, SeriesPoint
from clbalance.policy.heat import NodeGroup
from clbalance.policy.history import TimeCell, series_of
from clbalance.policy.top.view import View
from clbalance.render.names import KnownNames
from clbalance.render.report import Report
from clbalance.render.reports.nodes.top import TopReport
from clbalance.render.sparkline import ASCII, UNICODE
from clbalance.render.top.narrow import parse_filter
from clbalance.render.top.node_details import OpenNode
from clbalance.render.top.nodes import groupings_of
from clbalance.render.top.round import Round
from clbalance.render.views import NodeRow
from tests.render.build import gpu, silent, small_cluster, up
from tests.render.examples import Example
from tests.render.examples.load_gpus import GPUS, NAMES, OWN, THEIRS

AT = datetime(2026, 3, 1, 14, 2, 5, tzinfo=UTC)
PENDING = JobRecord(
    id=8,
    key="77" * 16,
    name="eval",
    state=JobState.PENDING,
    reason="not before 18:00",
    rc=None,
    attempt=0,
    claim=0,
    nodes=(),
    submitted_at=AT,
    started_at=None,
    ended_at=None,
    has_controller=True,
)
RUNNING = replace(PENDING, id=9, key="99" * 16, state=JobState.RUNNING, reason="", nodes=(NodeName("node7"),))

ENDED = replace(
    PENDING, id=6, key="66" * 16, state=JobState.FAILED, reason="", rc=3, nodes=(NodeName("node1"),),
    started_at=AT - timedelta(minutes=30), ended_at=AT - timedelta(minutes=5),
)  # fmt: skip


def same(value: float) -> Aggregate:
    return Aggregate(value, value, value)


def round_of(rows: list[NodeRow], *jobs: JobRecord, names: KnownNames = NAMES) -> Round:
    nodes = [row.node for row in rows]
    return Round(
        number=3,
        taken_at=AT,
        rows=tuple(rows),
        jobs=jobs,
        user="ann",
        uid=1000,
        names=names,
        groupings=groupings_of(
            nodes,
            {node: {"rack": f"r{len(node) % 2}"} for node in nodes},
            [NodeGroup(label="gpu-nodes", nodes=tuple(node for node in nodes if node.startswith("gpu")))],
        ),
        recent={
            node: (TimeCell(value=0.1), TimeCell(value=at / 10), TimeCell(is_silent=True))
            for at, node in enumerate(nodes)
        },
        logins=len(nodes),
    )


CLUSTER = [*small_cluster(), up("gpu1", 40.0, gpus=GPUS, leases=[OWN, THEIRS])]
ROUND = replace(round_of(CLUSTER, PENDING, RUNNING), ended=(ENDED,))
OPEN = OpenNode(
    node=NodeName("gpu1"),
    cores={number: min(100.0, number * 7.0) for number in range(15)} | {15: Unknown(reason="new")},
    since=AT - timedelta(days=1),
    until=AT,
    series=series_of(
        [
            SeriesPoint(
                at_s=int(AT.timestamp()) - 60 * minute,
                span_s=60,
                asked=1,
                silent=int(minute == 7),
                values={"load_per_cpu": same(minute / 50), "ut_pct": same(minute), "mem_available_pct": same(80.0)}
                if minute != 7
                else {},
                gpus={0: {"use_pct": same(minute)}},
            )
            for minute in range(60, 0, -1)
        ]
    ),
)
"""What the node whose details are open says beyond a round."""
_JSON = {"json": "top-json.json"}


def _example(view: View) -> Example:
    report = TopReport(found=ROUND, blocks=UNICODE, view=view)
    return Example(f"top-{view}", (report,), files=_JSON)


EXAMPLES = (
    *map(_example, View),
    Example("top-filter", (TopReport(found=ROUND, blocks=ASCII, by=parse_filter("gpus > 0", frozenset())),)),
)


def hostile(one: str, other: str) -> list[Report]:
    lease = replace(OWN, key=other, allocation=Allocation(name=one, gpus=("GPU-0",)))
    device = replace(gpu(0), model=other, processes=(GpuProcess(pid=1, name=one, mem_bytes=1, uid=1002),))
    rows = [silent(one, other), up(one + "x", gpus=[device], leases=[lease]), up(other + "y", boot_id=one)]
    names = KnownNames(users={1000: one}, users_there={NodeName(one): {1002: other}})
    found = round_of(rows, replace(PENDING, name=one, reason=other), names=names)
    found = replace(found, groupings={one: (NodeGroup(label=other, nodes=tuple(row.node for row in rows)),)})
    views = (View.NODES, View.JOBS)  # all of them are drawn with such texts in tests/render/top/
    return [TopReport(found=found, blocks=UNICODE, view=view, by=parse_filter("", frozenset())) for view in views]
