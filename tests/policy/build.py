"""One-line builders: an idle, healthy node of four cpus, except for what a case says."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

from clbalance.model import (
    Allocation,
    Answer,
    Cause,
    Cpus,
    DrainMark,
    Gpu,
    GpuProcess,
    Lease,
    Measured,
    Memory,
    NodeLimits,
    NodeName,
    Plan,
    Pressure,
    Rates,
    Reading,
    Request,
    RunQueue,
    Score,
    Silent,
    Snapshot,
    TmpSpace,
    Trend,
    Unknown,
)
from clbalance.policy.placement.load import NodeLoad
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import LEAST, Policy
from clbalance.policy.placement.score import score, scorers_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOT_TOLD = Unknown(reason="not told")
UPTIME_S = 1000.0
ME, SHE, ROOT = 1000, 1001, 0


def node(
    name: str,
    *,
    r1m: float | None = 0.0,
    cpus: int | None = 4,
    mem: float | None = 90.0,
    ut: float | None = 0.0,
    tmp: float | None = 90.0,
    psi: tuple[float, float, float] | None = (0.0, 0.0, 0.0),
    python: bool = True,
    debt: float = 0.0,
    factor: float = 1.0,
    leases: tuple[Lease, ...] | None = (),
    drains: tuple[DrainMark, ...] | None = (),
    gpus: tuple[Gpu, ...] | None = (),
    slots: int | None = None,
    trends: Mapping[str, Trend] | None = None,
    io: float | None = None,
    net: float | None = None,
    limits: NodeLimits | Unknown | None = None,
) -> Measured:
    """`mem` and `tmp` in per cent left, `psi` as cpu, memory, io; `io` and `net` in KiB per second; `debt`: placed a moment ago; None: unknown."""
    return Measured(
        node=NodeName(name),
        reading=Reading(
            boot_id="b",
            uptime_s=UPTIME_S,
            run_queue=NOT_TOLD if r1m is None else RunQueue(r1m=r1m, r5m=9.0, r15m=9.0, rq=9),
            cpus=NOT_TOLD if cpus is None else Cpus(online=cpus, model="m"),
            cpu_ticks=NOT_TOLD,
            memory=NOT_TOLD if mem is None else memory(total=10**6, available=round(mem * 10**4)),
            pressure=NOT_TOLD if psi is None else Pressure(cpu_pct=psi[0], mem_pct=psi[1], io_pct=psi[2]),
            tmp=NOT_TOLD if tmp is None else tmp_space(total=10**6, free=round(tmp * 10**4)),
            disk=NOT_TOLD,
            net=NOT_TOLD,
            logins=0,
            python="/usr/bin/python3" if python else Unknown(reason="`python3` is not on the PATH"),
            gpus=NOT_TOLD if gpus is None else gpus,
            uid=ME,
            leases=NOT_TOLD if leases is None else leases,
            drains=NOT_TOLD if drains is None else drains,
            limits=limits,
        ),
        rates=NOT_TOLD
        if ut is None
        else Rates(span_s=30.0, ut_pct=ut, disk_bytes_per_s=_bytes_of(io), net_bytes_per_s=_bytes_of(net)),
        rtt_s=0.1,
        placed=(Allocation(cpus=debt, uptime_s=UPTIME_S),) if debt else (),
        cpu_factor=factor,
        slots=slots,
        trends=trends or {},
    )


def _bytes_of(kib: float | None) -> float | Unknown:
    return NOT_TOLD if kib is None else kib * 1024


def trend(
    mean: float, *, count: int = 5, deviation: float = 0.0, least: float | None = None, span_s: float = 3600.0
) -> Trend:
    """Of an index that was `mean` at most; `least`: unless it was less at times."""
    return Trend(
        count=count,
        mean=mean,
        deviation=deviation,
        least=mean if least is None else least,
        most=mean,
        span_s=span_s,
    )


def lease(
    *,
    cpus: float = 0.0,
    mem_bytes: int = 0,
    gpus: tuple[str, ...] = (),
    gpu_share: float = 1.0,
    slots: int = 0,
    exclusive: bool = False,
    age_s: float = 0.0,
    uid: int = SHE,
) -> Lease:
    """Of somebody else's job, granted `age_s` seconds before the node was measured."""
    allocation = Allocation(
        cpus=cpus,
        mem_bytes=mem_bytes,
        gpus=gpus,
        gpu_share=gpu_share,
        slots=slots,
        exclusive=exclusive,
        uptime_s=UPTIME_S - age_s,
    )
    return Lease(key="k", attempt=1, uid=uid, allocation=allocation)


def unreadable(*, uid: int = SHE) -> Lease:
    return Lease(key="k", attempt=1, uid=uid, allocation=Unknown(reason="unreadable lease: no JSON"))


def drain(
    *, uid: int = ROOT, by: str = "alice", reason: str = "disk", binds_all: bool = True, for_s: float | None = None
) -> DrainMark:
    until = None if for_s is None else NOW + timedelta(seconds=for_s)
    return DrainMark(uid=uid, by=by, reason=reason, at=NOW, until=until, binds_all=binds_all)


def gpu(
    index: int = 0,
    *,
    used: int = 0,
    use: float | None = 0.0,
    held: bool = False,
    numa: int | None = None,
    model: str = "H100",
    parent: str = "",
    fault: str = "",
) -> Gpu:
    """With 80 of memory, `used` of it."""
    return Gpu(
        uuid=f"GPU-{index}",
        index=index,
        model=model,
        numa_node=NOT_TOLD if numa is None else numa,
        parent=parent,
        fault=fault,
        mem_total_bytes=80,
        mem_used_bytes=used,
        use_pct=NOT_TOLD if use is None else use,
        temperature_c=31.0,
        driver_version="550",
        processes=(GpuProcess(pid=4711, name="train", mem_bytes=1),) if held else (),
    )


def memory(*, total: int, available: int) -> Memory:
    return Memory(total_bytes=total, available_bytes=available, swap_total_bytes=0, swap_free_bytes=0)


def tmp_space(*, total: int, free: int) -> TmpSpace:
    return TmpSpace(path="/tmp", total_bytes=total, free_bytes=free)


def silent(name: str, cause: Cause = Cause.HUNG, reason: str = "no answer in 5 s") -> Silent:
    return Silent(node=NodeName(name), cause=cause, reason=reason)


def sweep(*answers: Answer, age_s: float = 0.0) -> Snapshot:
    return Snapshot(taken_at=NOW - timedelta(seconds=age_s), answers=answers)


def names(*nodes: str) -> frozenset[NodeName]:
    return frozenset(NodeName(name) for name in nodes)


def placed(
    snapshot: Snapshot,
    *,
    pick: int | None = 1,
    cpus: float = 1.0,
    mem_bytes: int = 0,
    gpus: int = 0,
    gpu_share: float = 1.0,
    gpu_mem_bytes: int = 0,
    gpu_models: frozenset[str] = frozenset(),
    slots: int = 1,
    exclusive: bool = False,
    needs_python: bool = False,
    excluded: frozenset[NodeName] = frozenset(),
    policy: Policy = LEAST,
    seed: int = 1,
) -> Plan:
    request = Request(
        pick=pick,
        cpus=cpus,
        mem_bytes=mem_bytes,
        gpus=gpus,
        gpu_share=gpu_share,
        gpu_mem_bytes=gpu_mem_bytes,
        gpu_models=gpu_models,
        slots=slots,
        exclusive=exclusive,
        needs_python=needs_python,
        excluded=excluded,
    )
    return place(snapshot, request, policy, NOW, Random(seed))


def scored(load: NodeLoad, request: Request | None = None, policy: Policy = LEAST) -> Score:
    """What placement makes of one node's load."""
    request = request or Request()
    return score(load, request, scorers_of(policy, request))
