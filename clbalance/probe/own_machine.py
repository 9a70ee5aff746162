"""Completes the reading of this machine with figures that were read without `/proc`. Pure.

For a machine that is its own and only node and has no `/proc`, such as a Mac, or one where it is hidden. What the probe
has read is never replaced, and what neither knows stays unknown, with the probe's reason.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cpus, CpuTicks, Memory, Reading, RunQueue, TmpSpace, Traffic, Unknown

_TICKS_PER_S = 100
_IDLE = frozenset({"idle", "iowait"})
_COUNTED_IN_OTHERS = frozenset({"guest", "guest_nice"})
"""Part of `user` and `nice` already."""
_NOT_ITS_OWN = re.compile(
    r"lo|(lo|utun|awdl|llw|bridge|gif|stf|ap|anpi|p2p|vmnet|veth|docker|virbr|br|tap|tun)[0-9-].*"
)
"""Interfaces that pass on the traffic of others, or stay on the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFigures:
    """What could be read; None: could not. Names and units as psutil has them: bytes, seconds, counters since boot."""

    load_averages: tuple[float, float, float] | None = None
    running: int | None = None
    """Processes that run at this moment, without ourselves."""
    cpus: int | None = None
    cpu_times_s: Mapping[str, float] | None = None
    """Of all cpus together, by mode: user, system, idle, …"""
    memory: tuple[int, int] | None = None
    """Total and available."""
    swap: tuple[int, int] | None = None
    """Total and free."""
    up_s: float | None = None
    disk: tuple[int, int] | None = None
    """Read and written, whole disks."""
    interfaces: Mapping[str, tuple[int, int]] | None = None
    """Received and sent, by name."""
    tmp: tuple[str, int, int] | None = None
    """The folder for temporary files, and its total and free bytes."""


def completed(reading: Reading, figures: OwnFigures) -> Reading:
    """The reading, with these figures in the place of parts that are unknown."""
    found: dict[str, Any] = {
        "run_queue": _run_queue(figures),
        "cpus": None if not figures.cpus else Cpus(online=figures.cpus, model=""),
        "cpu_ticks": _cpu_ticks(figures.cpu_times_s),
        "memory": _memory(figures),
        "uptime_s": figures.up_s,
        "disk": None if figures.disk is None else Traffic(in_bytes=figures.disk[0], out_bytes=figures.disk[1]),
        "net": _net(figures.interfaces),
        "tmp": _tmp(figures.tmp),
    }
    missing = {
        part: value
        for part, value in found.items()
        if value is not None and isinstance(getattr(reading, part), Unknown)
    }
    return replace(reading, **missing)


def _run_queue(figures: OwnFigures) -> RunQueue | None:
    if figures.load_averages is None or figures.running is None:
        return None
    r1m, r5m, r15m = figures.load_averages
    return RunQueue(r1m=r1m, r5m=r5m, r15m=r15m, rq=figures.running)


def _cpu_ticks(times_s: Mapping[str, float] | None) -> CpuTicks | None:
    """As from `/proc/stat`: waiting for a disk is idle, stolen time is busy."""
    if not times_s:
        return None
    ticks = {mode: round(_TICKS_PER_S * s) for mode, s in times_s.items() if mode not in _COUNTED_IN_OTHERS}
    total = sum(ticks.values())
    return CpuTicks(busy=total - sum(ticks.get(mode, 0) for mode in _IDLE), total=total)


def _memory(figures: OwnFigures) -> Memory | None:
    if figures.memory is None or figures.memory[0] <= 0:
        return None
    total, available = figures.memory
    swap_total: int | Unknown
    swap_free: int | Unknown
    swap_total, swap_free = figures.swap or (Unknown(reason="swap could not be read"),) * 2
    return Memory(
        total_bytes=total,
        available_bytes=min(available, total),
        swap_total_bytes=swap_total,
        swap_free_bytes=swap_free,
    )


def _net(interfaces: Mapping[str, tuple[int, int]] | None) -> Traffic | None:
    if interfaces is None:
        return None
    own = [counts for name, counts in interfaces.items() if not _NOT_ITS_OWN.fullmatch(name)]
    return Traffic(in_bytes=sum(received for received, _ in own), out_bytes=sum(sent for _, sent in own))


def _tmp(tmp: tuple[str, int, int] | None) -> TmpSpace | None:
    return None if tmp is None else TmpSpace(path=tmp[0], total_bytes=tmp[1], free_bytes=tmp[2])
