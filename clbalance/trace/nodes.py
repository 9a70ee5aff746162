"""Empty nodes on which a trace is replayed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from clbalance.model import (
    Cpus,
    Gpu,
    Measured,
    Memory,
    NodeName,
    Pressure,
    Rates,
    Reading,
    RunQueue,
    Snapshot,
    TmpSpace,
    Unknown,
)

_NOT_TOLD: Final = Unknown(reason="a trace does not tell")
_MUCH_BYTES: Final = 1 << 60
_RATES: Final = Rates(span_s=60.0, ut_pct=0.0, disk_bytes_per_s=_NOT_TOLD, net_bytes_per_s=_NOT_TOLD)


def idle_node(name: NodeName, *, cpus: int, mem_bytes: int, gpus: Sequence[Gpu] = ()) -> Measured:
    """A healthy, empty node of this size."""
    return Measured(
        node=name,
        reading=Reading(
            boot_id=_NOT_TOLD,
            uptime_s=0.0,
            run_queue=RunQueue(r1m=0.0, r5m=0.0, r15m=0.0, rq=0),
            cpus=Cpus(online=cpus, model=""),
            cpu_ticks=_NOT_TOLD,
            memory=Memory(total_bytes=mem_bytes, available_bytes=mem_bytes, swap_total_bytes=0, swap_free_bytes=0),
            pressure=Pressure(cpu_pct=0.0, mem_pct=0.0, io_pct=0.0),
            tmp=TmpSpace(path="/tmp", total_bytes=_MUCH_BYTES, free_bytes=_MUCH_BYTES),  # noqa: S108 - nothing is opened
            disk=_NOT_TOLD,
            net=_NOT_TOLD,
            logins=0,
            python="/usr/bin/python3",
            gpus=tuple(gpus),
            uid=_NOT_TOLD,
            leases=(),
            drains=(),
        ),
        rates=_RATES,
        rtt_s=0.0,
    )


def idle_gpus(node: NodeName, *, count: int, model: str, mem_bytes: int) -> tuple[Gpu, ...]:
    """`count` equal GPUs, each with its own UUID."""
    return tuple(
        Gpu(
            uuid=f"GPU-{node}-{index}",
            index=index,
            model=model,
            mem_total_bytes=mem_bytes,
            mem_used_bytes=0,
            use_pct=0.0,
            temperature_c=_NOT_TOLD,
            driver_version="",
        )
        for index in range(count)
    )


def emptied(snapshot: Snapshot) -> Snapshot:
    """The nodes that answered, without load and leases; nodes of unknown size are left out."""
    nodes = (_emptied(answer) for answer in snapshot.answers if isinstance(answer, Measured))
    return replace(snapshot, answers=tuple(node for node in nodes if node is not None))


def _emptied(answer: Measured) -> Measured | None:
    cpus, memory, gpus = answer.reading.cpus, answer.reading.memory, answer.reading.gpus
    if isinstance(cpus, Unknown) or isinstance(memory, Unknown):
        return None
    idle = idle_node(
        answer.node,
        cpus=cpus.online,
        mem_bytes=memory.total_bytes,
        gpus=() if isinstance(gpus, Unknown) else [_idle(gpu) for gpu in gpus],
    )
    return replace(idle, cpu_factor=answer.cpu_factor, slots=answer.slots, labels=answer.labels, taints=answer.taints)


def _idle(gpu: Gpu) -> Gpu:
    return replace(gpu, mem_used_bytes=0, use_pct=0.0, processes=())
