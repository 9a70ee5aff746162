"""Reports on a period: a week of a cluster, one without anything, and two weeks side by side."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clbalance.model import NodeName
from clbalance.model.report import (
    Cost,
    GroupUse,
    Held,
    JobUse,
    LoadRow,
    NodesUse,
    Part,
    Period,
    PeriodReport,
    UserUse,
    WaitTimes,
)
from clbalance.policy.report.compare import changes
from clbalance.render.report import Report
from clbalance.render.reports.report.report import UseReport
from tests.render.examples import Example

_H = 3600.0
_SINCE = datetime(2026, 3, 2, tzinfo=UTC)
_WEEK = Period(since=_SINCE, until=_SINCE + timedelta(days=7))


def part(amount: float, whole: float) -> Part:
    return Part(amount * _H, whole * _H, known=True)


_GPU_NODES = NodesUse(
    nodes=2,
    cpus=64.0,
    gpus=8.0,
    seen=part(310.0, 336.0),
    available=part(300.0, 310.0),
    cpu_allocated=part(4000.0, 9600.0),
    cpu_used=part(3100.0, 9600.0),
    gpu_allocated=part(900.0, 1200.0),
    gpu_used=part(410.5, 1200.0),
    gpu_idle=part(222.0, 900.0),
    cost=Cost(amount=1350.0, unpriced_cpu_s=4000 * _H),
)
_CPU_NODES = NodesUse(
    nodes=4,
    cpus=32.0,
    gpus=0.0,
    seen=part(600.0, 672.0),
    available=part(590.0, 600.0),
    cpu_allocated=part(0.0, 4700.0),
    cpu_used=part(940.0, 4700.0),
    cost=Cost(amount=0.0),
)
_ALICE = UserUse(
    user="alice",
    jobs=40,
    cpu_s=3000 * _H,
    gpu_s=880 * _H,
    cpu_used=part(2400.0, 3000.0),
    gpu_used=part(400.0, 880.0),
    gpu_idle=part(200.0, 880.0),
    cost=Cost(amount=1320.0, unpriced_cpu_s=3000 * _H),
)
_BOB = UserUse(user="uid 1002", jobs=1, cpu_s=1000 * _H, gpu_s=0.0, cost=Cost(unpriced_cpu_s=1000 * _H))
_IDLE = JobUse(
    label="17",
    name="notebook",
    user="alice",
    held=(Held(node=NodeName("gpu1"), cpu_s=100 * _H, gpu_s=150 * _H),),
    cpu_used=part(2.0, 100.0),
    gpu_used=part(0.0, 150.0),
    gpu_idle=part(150.0, 150.0),
)
_FOREIGN = JobUse(
    label="uid 1002/0123456789ab", name="", user="uid 1002", held=(Held(node=NodeName("n1"), cpu_s=9.0),),
    gpu_idle=part(3.0, 4.0),
)  # fmt: skip
WEEK = PeriodReport(
    period=_WEEK,
    total=_GPU_NODES + _CPU_NODES,
    groups=(
        GroupUse(name="cpu", use=_CPU_NODES, cpu_by_time=(10.0, None, 30.0), gpu_by_time=(None, None, None)),
        GroupUse(name="gpu-nodes", use=_GPU_NODES, cpu_by_time=(40.0, 0.0, 30.0), gpu_by_time=(80.0, None, 0.0)),
    ),
    users=(_ALICE, _BOB),
    more_users=3,
    ended={"COMPLETED": 30, "FAILED": 4, "TIMEOUT": 1},
    active={"RUNNING": 5},
    restarts=2,
    waits=WaitTimes(jobs=38, p50_s=0.4, p95_s=3725.0, counts=(20, 4, 2, 2, 8, 2, 0, 0)),
    wasters=(_IDLE, _FOREIGN),
    load=(LoadRow(name="gpu1", cells=(0.05, None, 1.4)), LoadRow(name="n[1-4]", cells=(None, 0.4, 0.9))),
    currency="EUR",
)
_NOTHING = PeriodReport(period=_WEEK)
_BEFORE = replace(
    WEEK,
    period=Period(since=_SINCE - timedelta(days=7), until=_SINCE),
    ended={"COMPLETED": 10},
    waits=WaitTimes(jobs=10, p50_s=0.4, p95_s=4000.0, counts=(10, 0, 0, 0, 0, 0, 0, 0)),
    total=replace(WEEK.total, gpu_idle=Part(), cost=Cost()),
)
BOTH = UseReport(report=WEEK, before=_BEFORE, changes=changes(_BEFORE, WEEK))
ONE = UseReport(report=WEEK)
EXAMPLES = (
    Example("report", (ONE,)),
    Example("report-empty", (UseReport(report=_NOTHING),)),
    Example("report-compare", (BOTH,)),
)


def hostile(one: str, other: str) -> list[Report]:
    return [UseReport(report=hostile_week(one, other)), replace(BOTH, report=hostile_week(one, other))]


def hostile_week(one: str, other: str) -> PeriodReport:
    """The week with texts of somebody else's choice wherever there are any."""
    return replace(
        WEEK,
        groups=(replace(WEEK.groups[0], name=one), replace(WEEK.groups[1], name=other)),
        users=(replace(_ALICE, user=one), replace(_BOB, user=other)),
        wasters=(replace(_IDLE, label=one, name=other, user=one), replace(_FOREIGN, label=other, user=other)),
        load=(replace(WEEK.load[0], name=one), replace(WEEK.load[1], name=other)),
        ended={one: 3, other: 4},
        currency=one,
    )
