"""A node's GPUs: the state of each, and which of them fit a request, best first. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from clbalance.errors import ExpressionError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, Measured, Request, Trend, Unknown
from clbalance.policy.allocations import allocations_of
from clbalance.policy.indices.samples import gmem_name, gprocs_name, gut_name
from clbalance.policy.leased_use import IDLE_PCT

_MOST_TOLD: Final = 4
"""Number of devices whose reasons fit into one line."""
_ONE: Final = Request(gpus=1)
_ROUNDING_BYTES: Final = 0.5

Shares: TypeAlias = Mapping[str, float]
"""Allocated share of each device, by UUID."""


def gpu_candidates(answer: Measured, request: Request = _ONE) -> tuple[str, ...] | Unknown:
    """UUIDs of the devices that fit the request, best first; unknown if the node's GPUs are.

    Whole devices: the free ones, most free memory first; for several devices those of one NUMA node first, from the
    smallest NUMA node that has enough. Shares: partly allocated devices too, fullest first, so that whole devices
    stay whole. The node gets the devices in this order, and its leases decide.
    """
    gpus = answer.reading.gpus
    return gpus if isinstance(gpus, Unknown) else candidates_among(gpus, answer, request)


def candidates_among(gpus: Sequence[Gpu], answer: Measured, request: Request) -> tuple[str, ...]:
    """The same, for a node with known devices."""
    if not gpus:
        return ()
    held = allocations_of(answer).gpu_shares
    fit = [gpu for gpu in gpus if all(holds(gpu, held.get(gpu.uuid, 0.0), request) for _, holds in _WISHES)]
    fit.sort(key=lambda gpu: _preference(gpu, held.get(gpu.uuid, 0.0)))
    return tuple(gpu.uuid for gpu in (fit if request.gpus <= 1 else _near_each_other(fit, request.gpus)))


def _preference(gpu: Gpu, held: float) -> tuple[float, float, int, str]:
    return -held, -_surely_free_bytes(gpu, held), gpu.index, gpu.uuid


def free_mem_bytes(gpu: Gpu, held: float) -> float | Unknown:
    """Memory neither used nor allocated; a share of a device includes the same share of its memory."""
    total, used = gpu.mem_total_bytes, gpu.mem_used_bytes
    if isinstance(total, Unknown):
        return total
    return used if isinstance(used, Unknown) else total - max(min(1.0, held) * total, float(used))


def _surely_free_bytes(gpu: Gpu, held: float) -> float:
    free = free_mem_bytes(gpu, held)
    return 0.0 if isinstance(free, Unknown) else free


class FreeDevice(NamedTuple):
    """The share of a device that can still be allocated."""

    share: float
    model: str
    uuid: str


def free_devices(gpus: tuple[Gpu, ...] | Unknown, held: Shares) -> tuple[FreeDevice, ...] | Unknown:
    """Every device with its free share, smallest first; 0 for devices that are faulty or used without a lease."""
    if isinstance(gpus, Unknown):
        return gpus
    return tuple(sorted([FreeDevice(_left(gpu, held.get(gpu.uuid, 0.0)), gpu.model, gpu.uuid) for gpu in gpus]))


def _left(gpu: Gpu, held: float) -> float:
    return round(max(0.0, 1.0 - held), 6) if is_usable(gpu, held) else 0.0


def _near_each_other(fit: Sequence[Gpu], count: int) -> list[Gpu]:
    """Sorted so that the first `count` are on one NUMA node, or else on as few NUMA nodes as possible."""
    groups: dict[int, list[Gpu]] = {}
    for gpu in fit:
        groups.setdefault(-1 if isinstance(gpu.numa_node, Unknown) else gpu.numa_node, []).append(gpu)

    def rank(one: tuple[int, list[Gpu]]) -> tuple[bool, int, bool, int]:
        # NUMA nodes with enough devices first, smallest first; then the others, largest first.
        numa, group = one
        return len(group) < count, abs(len(group) - count), numa < 0, numa

    return [gpu for _, group in sorted(groups.items(), key=rank) for gpu in group]


def too_few_reason(answer: Measured, gpus: Sequence[Gpu], request: Request) -> tuple[str, str]:
    """The reason by which nodes are counted, and the detail with the reasons for this node's devices."""
    held = allocations_of(answer).gpu_shares
    left = gpus
    for reason, holds in _WISHES:
        kept = [gpu for gpu in left if holds(gpu, held.get(gpu.uuid, 0.0), request)]
        if len(kept) < min(request.gpus, len(left)):
            return reason, _text([gpu for gpu in left if gpu not in kept], answer, held)
        left = kept
    return TOO_FEW_FREE, ""


def _text(gpus: Sequence[Gpu], answer: Measured, shares: Shares) -> str:
    parts = [_gpu_text(gpu, answer, shares.get(gpu.uuid, 0.0)) for gpu in gpus[:_MOST_TOLD]]
    rest = len(gpus) - len(parts)
    return ", ".join(parts) + (f", and {rest} more" if rest else "")


def _gpu_text(gpu: Gpu, answer: Measured, held: float) -> str:
    found = gpu_condition(gpu, held, answer.trends)
    what = found.reason or f"{gpu.model}, {_surely_free_bytes(gpu, held) / 2**30:.3g} GiB free"
    return f"{gpu_label(gpu)} {found.state} ({what})"


def gpu_label(gpu: Gpu) -> str:
    """Such as "GPU 1"; a MIG part has no number of its own, so the beginning of its UUID is added."""
    return f"GPU {gpu.index} part {gpu.uuid[:12]}" if gpu.parent else f"GPU {gpu.index}"


def _is_of_a_model(gpu: Gpu, _: float, request: Request) -> bool:
    return not request.gpu_models or gpu.model in request.gpu_models


def _is_whole_among_several(gpu: Gpu, _: float, request: Request) -> bool:
    # CUDA shows a process at most one MIG part, whatever it is given (NVIDIA's MIG user guide, "device enumeration").
    return request.gpus <= 1 or not gpu.parent


def _has_place(gpu: Gpu, held: float, request: Request) -> bool:
    return has_place(gpu, held, request.gpu_share)


def _has_memory(gpu: Gpu, held: float, request: Request) -> bool:
    return request.gpu_mem_bytes <= _surely_free_bytes(gpu, held) + _ROUNDING_BYTES


TOO_FEW_FREE: Final = "too few GPUs free"
_WISHES: Final[tuple[tuple[str, Callable[[Gpu, float, Request], bool]], ...]] = (
    ("too few GPUs of that model", _is_of_a_model),
    ("too few whole GPUs", _is_whole_among_several),
    (TOO_FEW_FREE, _has_place),
    ("too little GPU memory free", _has_memory),
)
"""Conditions for a device, each with the reason for a node that has too few devices that meet it."""


# -- GPU states, with use by processes without a lease: free, shared, busy, held idle, faulty or unknown
#
# Input: a measured device, its allocated share, and its trends. No driver tells which job a process belongs to, so on a
# shared device processes are taken for those of its leases as long as they fit into the allocated share.

_LOOKS: Final = 3
_IDLE_S: Final = 600.0
"""A device is "held idle" after `_LOOKS` samples over `_IDLE_S` seconds: one sample may fall between two steps."""
_ROUNDING: Final = 1e-9
"""Tolerance for shares of a device: three thirds are a whole."""


class GpuState(StrEnum):
    """State of a GPU; only `FREE` and `SHARED` devices can be allocated."""

    FREE = "free"
    SHARED = "shared"
    BUSY = "busy"
    HELD_IDLE = "held idle"
    FAULTY = "faulty"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCondition:
    """A device's state and the reason; empty if the state says it all."""

    state: GpuState
    reason: str = ""


def looks_free(gpu: Gpu) -> bool:
    """Whether a device without allocations is unused.

    No fault, no process, no memory but the driver's own, and a known idle use: unknown is never idle. No driver
    measures the use of a MIG part; a part without processes and memory counts as unused.
    """
    use = gpu.use_pct
    idle = bool(gpu.parent) if isinstance(use, Unknown) else use <= IDLE_PCT
    processes = gpu.processes
    unused = not isinstance(processes, Unknown) and all(one.is_mps_server for one in processes)
    return idle and unused and not gpu.fault and _uses_at_most(gpu, IDLE_PCT)


def is_usable(gpu: Gpu, held: float) -> bool:
    """Whether the rest of a device can be allocated: no use without a lease, and no fault."""
    return not gpu.fault and _is_accounted_for(gpu, held) if held else looks_free(gpu)


def has_place(gpu: Gpu, held: float, share: float) -> bool:
    """Whether `share` of a device can still be allocated."""
    return held + share <= 1.0 + _ROUNDING and is_usable(gpu, held)


def gpu_condition(gpu: Gpu, held: float, trends: Mapping[str, Trend]) -> GpuCondition:
    """The state to show; `held`: the allocated share of the device."""
    if gpu.fault:
        return GpuCondition(state=GpuState.FAULTY, reason=gpu.fault)
    if held:
        return _leased(gpu, held)
    if looks_free(gpu):
        return GpuCondition(state=GpuState.FREE)
    return _not_free(gpu, trends)


def _not_free(gpu: Gpu, trends: Mapping[str, Trend]) -> GpuCondition:
    for what, figure in (("memory", gpu.mem_used_pct), ("processes", gpu.processes)):
        if isinstance(figure, Unknown):
            return GpuCondition(state=GpuState.UNKNOWN, reason=f"{what} unknown: {figure.reason}")
    if gpu.processes or not _uses_at_most(gpu, IDLE_PCT):
        return _held(gpu, trends)
    # Not held and yet not free: its use is high, or unknown.
    if isinstance(gpu.use_pct, Unknown):
        return GpuCondition(state=GpuState.UNKNOWN, reason=f"use unknown: {gpu.use_pct.reason}")
    return GpuCondition(state=GpuState.BUSY, reason=f"{gpu.use_pct:.0f}% used")


def _leased(gpu: Gpu, held: float) -> GpuCondition:
    if held >= 1.0 - _ROUNDING:
        return GpuCondition(state=GpuState.BUSY, reason="leased")
    message = f"{100.0 * held:.0f}% leased"
    if _is_accounted_for(gpu, held):
        return GpuCondition(state=GpuState.SHARED, reason=message)
    used_pct = gpu.mem_used_pct
    if isinstance(used_pct, Unknown):
        return GpuCondition(state=GpuState.UNKNOWN, reason=f"{message}, memory unknown: {used_pct.reason}")
    return GpuCondition(state=GpuState.BUSY, reason=f"{message}, {used_pct:.0f}% of its memory used")


def _is_accounted_for(gpu: Gpu, held: float) -> bool:
    """Whether the used memory fits into the allocated share, plus a little for the driver."""
    return _uses_at_most(gpu, 100.0 * held + IDLE_PCT)


def _held(gpu: Gpu, trends: Mapping[str, Trend]) -> GpuCondition:
    size = "" if isinstance(gpu.mem_used_bytes, Unknown) else f"{gpu.mem_used_bytes / 2**30:.3g} GiB "
    message = f"{size}held{_by(gpu)}"
    if not isinstance(gpu.use_pct, Unknown) and gpu.use_pct > IDLE_PCT:
        return GpuCondition(state=GpuState.BUSY, reason=f"{gpu.use_pct:.0f}% used, {message}")
    use = trends.get(gut_name(gpu))
    if use is None or not _was_idle(use) or not _was_held(gpu, trends):
        return GpuCondition(state=GpuState.BUSY, reason=message)
    samples = f"at most {use.most:.0f}% used at {use.count} looks over {use.span_s / 60:.0f} min"
    return GpuCondition(state=GpuState.HELD_IDLE, reason=f"{message}, {samples}")


def _was_idle(use: Trend) -> bool:
    return use.count >= _LOOKS and use.span_s >= _IDLE_S and use.most <= IDLE_PCT


def _was_held(gpu: Gpu, trends: Mapping[str, Trend]) -> bool:
    """Whether it was held in every sample: else its processes may have just begun on a free device."""
    memory, processes = trends.get(gmem_name(gpu)), trends.get(gprocs_name(gpu))
    return (memory is not None and memory.least > IDLE_PCT) or (processes is not None and processes.least >= 1.0)


def _uses_at_most(gpu: Gpu, pct: float) -> bool:
    """Whether no more of its memory than that is used; unknown is never idle."""
    used_pct = gpu.mem_used_pct
    return not isinstance(used_pct, Unknown) and used_pct <= pct


def _by(gpu: Gpu) -> str:
    """The first of its processes, as a hint whom to ask."""
    if isinstance(gpu.processes, Unknown) or not gpu.processes:
        return ""
    first = gpu.processes[0]
    more = f" and {len(gpu.processes) - 1} more" if len(gpu.processes) > 1 else ""
    return f" by {first.name} (pid {first.pid}){more}"


# -- `--where` conditions on GPUs


def matching_devices(answer: Measured, request: Request) -> Measured:
    """The node with only the GPUs that match `--where`; other GPUs are ignored."""
    gpus = answer.reading.gpus
    if not request.constraints.where or isinstance(gpus, Unknown):
        return answer
    from clbalance.policy.expressions.where import parse_where  # few use it

    try:
        where = parse_where(request.constraints.where, external=answer.site.indices)
    except ExpressionError:
        return answer  # the node does not fit for that
    if not where.of_device:
        return answer
    count = tuple(gpu for gpu in gpus if where.admits(answer, gpu))
    return answer if len(count) == len(gpus) else replace(answer, reading=replace(answer.reading, gpus=count))
