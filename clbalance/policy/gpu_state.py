"""What a GPU is, strangers included: free, shared, busy, held idle, faulty or unknown, each with its reason. Pure.

Enters: a device as measured, how much of it is promised, and what was seen of it before. No driver tells whose a
process is, so on a shared device those are taken for its leases' own as long as they fit into what was promised.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, Trend, Unknown
from clbalance.policy.samples import gmem_name, gprocs_name, gut_name

IDLE_PCT: Final = 5.0
"""Use, of time and of memory, up to which a device idles: its driver's own, and a flicker."""
_LOOKS: Final = 3
_IDLE_S: Final = 600.0
"""Held idle is what was found so at so many looks over so long a time: one glance may fall between two steps."""
_ROUNDING: Final = 1e-9
"""Of a device: three thirds are a whole."""


class GpuState(StrEnum):
    """One word for each; only the first two may be had."""

    FREE = "free"
    SHARED = "shared"
    BUSY = "busy"
    HELD_IDLE = "held idle"
    FAULTY = "faulty"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCondition:
    """A device's state, and why; empty where the word says it all."""

    state: GpuState
    reason: str = ""


def looks_free(gpu: Gpu) -> bool:
    """Whether nobody uses a device of which nothing is promised.

    No fault, no process, no memory but the driver's own, and a use known to be idle: unknown is never idle. No
    driver measures the use of a part; without a process and without memory, nobody uses it.
    """
    use = gpu.use_pct
    idle = bool(gpu.parent) if isinstance(use, Unknown) else use <= IDLE_PCT
    return idle and not gpu.processes and not gpu.fault and _memory_pct(gpu) <= IDLE_PCT


def is_usable(gpu: Gpu, held: float) -> bool:
    """Whether what is not promised of a device may be: nobody else uses it, and nothing is wrong with it."""
    return not gpu.fault and _is_accounted_for(gpu, held) if held else looks_free(gpu)


def has_place(gpu: Gpu, held: float, share: float) -> bool:
    """Whether `share` of a device may be promised."""
    return held + share <= 1.0 + _ROUNDING and is_usable(gpu, held)


def gpu_condition(gpu: Gpu, held: float, trends: Mapping[str, Trend]) -> GpuCondition:
    """How a device is to be shown; `held` is how much of it is promised."""
    if gpu.fault:
        return GpuCondition(state=GpuState.FAULTY, reason=gpu.fault)
    if held:
        return _leased(gpu, held)
    if looks_free(gpu):
        return GpuCondition(state=GpuState.FREE)
    if gpu.processes or _memory_pct(gpu) > IDLE_PCT:
        return _held(gpu, trends)
    # It is not held and yet not free, so its use is known and high, or unknown.
    if isinstance(gpu.use_pct, Unknown):
        return GpuCondition(state=GpuState.UNKNOWN, reason=f"use unknown: {gpu.use_pct.why}")
    return GpuCondition(state=GpuState.BUSY, reason=f"{gpu.use_pct:.0f}% used")


def _leased(gpu: Gpu, held: float) -> GpuCondition:
    if held >= 1.0 - _ROUNDING:
        return GpuCondition(state=GpuState.BUSY, reason="leased")
    told = f"{100.0 * held:.0f}% leased"
    if _is_accounted_for(gpu, held):
        return GpuCondition(state=GpuState.SHARED, reason=told)
    return GpuCondition(state=GpuState.BUSY, reason=f"{told}, {_memory_pct(gpu):.0f}% of its memory used")


def _is_accounted_for(gpu: Gpu, held: float) -> bool:
    """Whether what runs there fits into what was promised, and a little for the driver."""
    return _memory_pct(gpu) <= 100.0 * held + IDLE_PCT


def _held(gpu: Gpu, trends: Mapping[str, Trend]) -> GpuCondition:
    told = f"{gpu.mem_used_bytes / 2**30:.3g} GiB held{_by(gpu)}"
    if not isinstance(gpu.use_pct, Unknown) and gpu.use_pct > IDLE_PCT:
        return GpuCondition(state=GpuState.BUSY, reason=f"{gpu.use_pct:.0f}% used, {told}")
    use = trends.get(gut_name(gpu))
    if use is None or not _was_idle(use) or not _was_held(gpu, trends):
        return GpuCondition(state=GpuState.BUSY, reason=told)
    looks = f"at most {use.most:.0f}% used at {use.count} looks over {use.span_s / 60:.0f} min"
    return GpuCondition(state=GpuState.HELD_IDLE, reason=f"{told}, {looks}")


def _was_idle(use: Trend) -> bool:
    return use.count >= _LOOKS and use.span_s >= _IDLE_S and use.most <= IDLE_PCT


def _was_held(gpu: Gpu, trends: Mapping[str, Trend]) -> bool:
    """At every look: else it may be somebody who has just begun, and was preceded by nobody."""
    memory, processes = trends.get(gmem_name(gpu)), trends.get(gprocs_name(gpu))
    return (memory is not None and memory.least > IDLE_PCT) or (processes is not None and processes.least >= 1.0)


def _memory_pct(gpu: Gpu) -> float:
    return 100.0 * gpu.mem_used_bytes / gpu.mem_total_bytes if gpu.mem_total_bytes else 0.0


def _by(gpu: Gpu) -> str:
    """Whom to ask: the first of its processes."""
    if not gpu.processes:
        return ""
    first = gpu.processes[0]
    more = f" and {len(gpu.processes) - 1} more" if len(gpu.processes) > 1 else ""
    return f" by {first.name} (pid {first.pid}){more}"
