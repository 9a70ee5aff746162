"""A case language: one line says what matters of a node, the rest is a plain machine."""

from collections.abc import Sequence
from datetime import UTC, datetime

from clbalance.model import (
    Allocation,
    Cause,
    Cpus,
    CpuTicks,
    DrainMark,
    Gpu,
    GpuProcess,
    Lease,
    Measured,
    Memory,
    NodeName,
    Plan,
    Pressure,
    Rates,
    Reading,
    RunQueue,
    Score,
    Silent,
    Snapshot,
    Term,
    TmpSpace,
    Traffic,
    Unfit,
    Unknown,
)
from clbalance.render.views import NodeRow

GIB = 1 << 30
LEASED = Lease(
    key="0123abcd",
    attempt=2,
    uid=1001,
    allocation=Allocation(cpus=4.0, mem_bytes=8 * GIB, gpus=("GPU-0",), slots=1, uptime_s=86370.0, name="train"),
)
UNREADABLE = Lease(key="fedc", attempt=1, uid=1002, allocation=Unknown(reason="unreadable lease: no JSON"))
DRAINED = DrainMark(
    uid=0, by="root", reason="disk", at=datetime(2026, 3, 1, 12, tzinfo=UTC), until=None, binds_all=True
)
NOT_ASKED = Unknown(reason="not asked")


def reading(
    *,
    r1m: float = 0.5,
    cpus: int = 32,
    memory: Memory | Unknown | None = None,
    pressure: Pressure | Unknown | None = None,
    gpus: Sequence[Gpu] | Unknown = (),
    run_queue: Unknown | None = None,
    boot_id: str = "b007",
    leases: Sequence[Lease] | Unknown = (),
    drains: Sequence[DrainMark] = (),
) -> Reading:
    return Reading(
        boot_id=boot_id,
        uptime_s=86400.0,
        run_queue=run_queue or RunQueue(r1m=r1m, r5m=r1m / 2, r15m=r1m / 4, rq=round(min(r1m, 1e6))),
        cpus=Cpus(online=cpus, model="EPYC 9354"),
        cpu_ticks=CpuTicks(busy=10, total=100),
        memory=memory
        or Memory(total_bytes=125 * GIB, available_bytes=100 * GIB, swap_total_bytes=8 * GIB, swap_free_bytes=8 * GIB),
        pressure=pressure or Pressure(cpu_pct=1.4, mem_pct=0.0, io_pct=12.0),
        tmp=TmpSpace(path="/tmp", total_bytes=50 * GIB, free_bytes=20 * GIB),
        disk=Traffic(in_bytes=1, out_bytes=2),
        net=Traffic(in_bytes=3, out_bytes=4),
        logins=3,
        python="/usr/bin/python3",
        gpus=gpus if isinstance(gpus, Unknown) else tuple(gpus),
        uid=1000,
        leases=leases if isinstance(leases, Unknown) else tuple(leases),
        drains=tuple(drains),
    )


def measured(
    node: str, *, rates: Rates | Unknown | None = None, debt_cpus: float = 0.0, **of_reading: object
) -> Measured:
    return Measured(
        node=NodeName(node),
        reading=reading(**of_reading),  # type: ignore[arg-type]  # passed on as given
        rates=rates or Rates(span_s=60.0, ut_pct=12.3, disk_bytes_per_s=1e6, net_bytes_per_s=2e3),
        rtt_s=0.25,
        placed=(Allocation(cpus=debt_cpus, uptime_s=86400.0),) if debt_cpus else (),
    )


def up(node: str, score: float | None = 90.0, **of_node: object) -> NodeRow:
    answer = measured(node, **of_node)  # type: ignore[arg-type]  # passed on as given
    return NodeRow(node=answer.node, state="up", reason=None, violated=frozenset(), answer=answer, score=score)


def busy(node: str, violated: Sequence[str], reason: str, **of_node: object) -> NodeRow:
    answer = measured(node, **of_node)  # type: ignore[arg-type]  # passed on as given
    return NodeRow(
        node=answer.node, state="busy", reason=reason, violated=frozenset(violated), answer=answer, score=None
    )


def drained(node: str, state: str, **of_reading: object) -> NodeRow:
    answer = measured(node, drains=[DRAINED], **of_reading)  # type: ignore[arg-type]  # passed on as given
    return NodeRow(
        node=answer.node, state=state, reason="disk (by root)", violated=frozenset(), answer=answer, score=None
    )


def silent(node: str, reason: str = "No route to host", cause: Cause = Cause.UNREACHABLE) -> NodeRow:
    answer = Silent(node=NodeName(node), cause=cause, reason=reason)
    return NodeRow(
        node=answer.node, state="down", reason=f"{cause}: {reason}", violated=frozenset(), answer=answer, score=None
    )


def gpu(index: int = 0, *, used_gib: int = 0, use_pct: float | Unknown = 0.0, holder: str | None = None) -> Gpu:
    return Gpu(
        uuid=f"GPU-{index}",
        index=index,
        model="NVIDIA H100",
        mem_total_bytes=80 * GIB,
        mem_used_bytes=used_gib * GIB,
        use_pct=use_pct,
        temperature_c=31.0,
        driver_version="550.54",
        processes=(GpuProcess(pid=4711, name=holder, mem_bytes=used_gib * GIB),) if holder else (),
    )


def score(node: str, total: float, message: str = "r1m 0.50 + 1 requested on 32 cpus") -> Score:
    return Score(
        node=NodeName(node), total=total, terms=(Term(name="run_queue", points=total, weight=4.0, source=message),)
    )


def plan(ranked: Sequence[Score], chosen: Sequence[str], unfit: Sequence[Unfit] = (), wanted: int | None = 1) -> Plan:
    return Plan(
        wanted=wanted,
        chosen=tuple(map(NodeName, chosen)),
        ranked=tuple(ranked),
        unfit=tuple(unfit),
        charged=Snapshot(taken_at=datetime(2026, 1, 1, tzinfo=UTC), answers=()),
    )


def small_cluster() -> list[NodeRow]:
    """One node of each kind, in no good order."""
    return [
        silent("node7", "connect to host node7 port 22: No route to host"),
        up("node10", 81.0, r1m=3.52, pressure=Unknown(reason="not supported by this kernel")),
        busy("node2", ["r1m", "psi_io"], "load is 1.406, io pressure is 12%", r1m=45.0),
        up("node1", 95.0, gpus=[gpu(0), gpu(1, used_gib=60, use_pct=98.0, holder="python")]),
        up("node3", None, run_queue=Unknown(reason="no /proc/loadavg")),
        silent("node12", "no answer within 15 s", Cause.HUNG),
        drained("node4", "draining", leases=[LEASED, UNREADABLE]),
        drained("node5", "drained"),
    ]
