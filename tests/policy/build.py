"""One-line builders: an idle, healthy node of four cpus, except for what a case says."""

from datetime import UTC, datetime, timedelta
from random import Random

from clbalance.model import (
    Answer,
    Cause,
    Cpus,
    Measured,
    Memory,
    NodeName,
    Plan,
    Pressure,
    Rates,
    Reading,
    Request,
    RunQueue,
    Silent,
    Snapshot,
    TmpSpace,
    Unknown,
)
from clbalance.policy.place import place
from clbalance.policy.policies import LEAST, Policy

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOT_TOLD = Unknown(why="not told")


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
) -> Measured:
    """`mem` and `tmp` in per cent left, `psi` as cpu, memory, io; None: unknown."""
    return Measured(
        node=NodeName(name),
        reading=Reading(
            boot_id="b",
            uptime_s=1000.0,
            run_queue=NOT_TOLD if r1m is None else RunQueue(r1m=r1m, r5m=9.0, r15m=9.0, rq=9),
            cpus=NOT_TOLD if cpus is None else Cpus(online=cpus, model="m"),
            cpu_ticks=NOT_TOLD,
            memory=NOT_TOLD if mem is None else memory(total=10**6, available=round(mem * 10**4)),
            pressure=NOT_TOLD if psi is None else Pressure(cpu_pct=psi[0], mem_pct=psi[1], io_pct=psi[2]),
            tmp=NOT_TOLD if tmp is None else tmp_space(total=10**6, free=round(tmp * 10**4)),
            traffic=NOT_TOLD,
            logins=0,
            python="/usr/bin/python3" if python else Unknown(why="`python3` is not on the PATH"),
            gpus=(),
            marks=(),
        ),
        rates=NOT_TOLD
        if ut is None
        else Rates(span_s=30.0, ut_pct=ut, disk_bytes_per_s=NOT_TOLD, net_bytes_per_s=NOT_TOLD),
        rtt_s=0.1,
        debt_cpus=debt,
        cpu_factor=factor,
    )


def memory(*, total: int, available: int) -> Memory:
    return Memory(total_bytes=total, available_bytes=available, swap_total_bytes=0, swap_free_bytes=0)


def tmp_space(*, total: int, free: int) -> TmpSpace:
    return TmpSpace(path="/tmp", total_bytes=total, free_bytes=free)


def silent(name: str, cause: Cause = Cause.HUNG, why: str = "no answer in 5 s") -> Silent:
    return Silent(node=NodeName(name), cause=cause, why=why)


def sweep(*answers: Answer, age_s: float = 0.0) -> Snapshot:
    return Snapshot(taken_at=NOW - timedelta(seconds=age_s), answers=answers)


def names(*nodes: str) -> frozenset[NodeName]:
    return frozenset(NodeName(name) for name in nodes)


def placed(
    snapshot: Snapshot,
    *,
    pick: int | None = 1,
    cpus: float = 1.0,
    needs_python: bool = False,
    excluded: frozenset[NodeName] = frozenset(),
    policy: Policy = LEAST,
    seed: int = 1,
) -> Plan:
    request = Request(pick=pick, cpus=cpus, needs_python=needs_python, excluded=excluded)
    return place(snapshot, request, policy, NOW, Random(seed))
