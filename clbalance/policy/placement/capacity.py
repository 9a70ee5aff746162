"""Whether a node has free resources for a request, by the formulas of its own admission (docs/design/leases.md). Pure.

The node decides again under its lock. A node that is unfit here would refuse too, so refusals only come from races.
"""

from collections.abc import Callable, Sequence
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Lease, Request, Unknown
from clbalance.policy.placement.gpus import (
    TOO_FEW_FREE,
    FreeDevice,
    candidates_among,
    matching_devices,
    too_few_reason,
)
from clbalance.policy.placement.load import NodeLoad
from clbalance.units import counted

LIMITS: Final = "limits"
"""The filter of what a user may have on a node; it comes last, when all else fits."""
_WHOLE = "allocated whole"
_ROUNDING: Final = 1e-9
"""Cpus and shares of devices: tolerance for rounding errors of sums."""
_DIGITS: Final = 1e-6
"""Free shares are rounded to as many digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InsufficientResource:
    """A missing resource: the filter's name, the reason by which nodes are counted, and a detail with numbers."""

    filter: str
    reason: str
    detail: str


def insufficient_resource(load: NodeLoad, request: Request) -> InsufficientResource | None:
    """The first resource that is missing for `request`; None: all of it is free, as `has_room` says."""
    if asks_for_nothing(request):
        is_known = not isinstance(load.answer.reading.leases, Unknown)
        return (_exclusive(load, request) if is_known else None) or _limits(load, request)
    return next((found for find in _LACKS if (found := find(load, request))), None)


def has_room(load: NodeLoad, request: Request) -> bool:
    """Whether no resource is missing: `insufficient_resource` without the words, for many nodes."""
    if asks_for_nothing(request):
        return insufficient_resource(load, request) is None
    return not (
        isinstance(load.answer.reading.leases, Unknown)
        or _lacks_cpus(load, request)
        or _lacks_memory(load, request)
        or _lacks_gpus(load, request)
        or _lacks_slots(load, request)
        or _exclusive(load, request)
        or (request.tmp_bytes and _tmp(load, request))
        or _limits(load, request)
    )


def asks_for_nothing(request: Request) -> bool:
    """Whether the request takes no resources, and so fits on a full node; a slot alone does not count."""
    return not (request.cpus or request.mem_bytes or request.tmp_bytes or request.gpus or request.exclusive)


def _leases_unknown(load: NodeLoad, _: Request) -> InsufficientResource | None:
    leases = load.answer.reading.leases
    if not isinstance(leases, Unknown):
        return None
    return InsufficientResource(filter="leases", reason="leases unknown", detail=leases.reason)


def _exclusive(load: NodeLoad, request: Request) -> InsufficientResource | None:
    leases = load.answer.reading.leases
    for lease in () if isinstance(leases, Unknown) else leases:
        if reason := _whole_node(lease, load):
            return InsufficientResource(filter="exclusive", reason=_WHOLE, detail=f"by uid {lease.uid}{reason}")
    if load.allocations.exclusive:
        return InsufficientResource(filter="exclusive", reason=_WHOLE, detail="by a job placed a moment ago")
    if request.exclusive and load.allocations.count:
        return InsufficientResource(
            filter="exclusive", reason="not empty", detail=f"{counted(load.allocations.count, 'lease')} held"
        )
    return None


def _whole_node(lease: Lease, load: NodeLoad) -> str | None:
    """Why a lease takes the whole node, as the end of a sentence; None: it takes a part."""
    match lease.allocation:
        case Unknown(reason=reason):
            return f": {reason}"
        case Allocation(exclusive=True):
            return ": exclusive"
        case Allocation(cpus=cpus, mem_bytes=mem_bytes) if cpus > load.cpus or mem_bytes > load.memory.total_bytes:
            return ": more than the node has"
        case _:
            return None


def _lacks_cpus(load: NodeLoad, request: Request) -> bool:
    return bool(request.cpus) and request.cpus > _cpus_for(load, request) + _ROUNDING


def _cpus_for(load: NodeLoad, request: Request) -> float:
    # By force only leases count: a node past its threshold has no cpu free otherwise.
    return load.cpus - load.allocations.cpus if request.constraints.force else load.free_cpus


def _cpus(load: NodeLoad, request: Request) -> InsufficientResource | None:
    if not _lacks_cpus(load, request):
        return None
    return InsufficientResource(
        filter="cpus",
        reason="too few cpus free",
        detail=f"{request.cpus:g} requested, {max(0.0, _cpus_for(load, request)):.3g} of {load.cpus} free,"
        f" {load.allocations.cpus:.3g} allocated",
    )


def _lacks_memory(load: NodeLoad, request: Request) -> bool:
    return bool(request.mem_bytes) and request.mem_bytes > load.free_mem_bytes


def _memory(load: NodeLoad, request: Request) -> InsufficientResource | None:
    if not _lacks_memory(load, request):
        return None
    sizes = (request.mem_bytes, max(0.0, load.free_mem_bytes), load.allocations.mem_bytes)
    asked, left, allocated = (_gib(size) for size in sizes)
    return InsufficientResource(
        filter="memory",
        reason="too little memory free",
        detail=f"{asked} requested, {left} of {_gib(load.memory.total_bytes)} free, {allocated} allocated",
    )


def _tmp(load: NodeLoad, request: Request) -> InsufficientResource | None:
    if not request.tmp_bytes:
        return None
    tmp = load.answer.reading.tmp
    if isinstance(tmp, Unknown):
        return InsufficientResource(filter="tmp", reason="temporary space unknown", detail=tmp.reason)
    # The whole space counts as long as the lease: a job may fill it at any time, and a full disk hurts all users.
    free = tmp.free_bytes - load.allocations.tmp_bytes
    if request.tmp_bytes <= free:
        return None
    asked, left, allocated = (_gib(size) for size in (request.tmp_bytes, max(0, free), load.allocations.tmp_bytes))
    return InsufficientResource(
        filter="tmp",
        reason="too little temporary space",
        detail=f"{asked} requested, {left} of {_gib(tmp.total_bytes)} in {tmp.path} free, {allocated} allocated",
    )


def _gib(size_bytes: float) -> str:
    return f"{size_bytes / 2**30:.3g} GiB"


def _lacks_gpus(load: NodeLoad, request: Request) -> bool:
    if not request.gpus or _plainly_enough(load, request):
        return False
    if _plainly_too_few(load, request):
        return True
    answer = matching_devices(load.answer, request)
    gpus = answer.reading.gpus
    return isinstance(gpus, Unknown) or request.gpus > len(candidates_among(gpus, answer, request))


def _gpus(load: NodeLoad, request: Request) -> InsufficientResource | None:
    if not _lacks_gpus(load, request):
        return None
    answer = matching_devices(load.answer, request)
    gpus = answer.reading.gpus
    if isinstance(gpus, Unknown):
        return InsufficientResource(filter="gpus", reason="GPUs unknown", detail=gpus.reason)
    free = candidates_among(gpus, answer, request)
    reason, detail = too_few_reason(answer, gpus, request)
    message = f"{request.gpus} requested, {len(free)} of {len(gpus)} free"
    if request.gpu_share < 1.0:
        message = f"{request.gpu_share:g} of one requested, none of {len(gpus)} has that free"
        reason = "no GPU has room" if reason == TOO_FEW_FREE else reason
    if request.gpu_mem_bytes:
        message += f" with {_gib(request.gpu_mem_bytes)}"
    return InsufficientResource(filter="gpus", reason=reason, detail=f"{message}: {detail}" if detail else message)


def _plainly_enough(load: NodeLoad, request: Request) -> bool:
    """Quick check for the usual request, one device of any model and memory size."""
    if request.gpus != 1 or request.gpu_mem_bytes or request.constraints.where or isinstance(load.devices, Unknown):
        return False
    return _count_with(load.devices, request, _ROUNDING) > 0


def _plainly_too_few(load: NodeLoad, request: Request) -> bool:
    """Quick check that no condition can mend: too few devices have that share left."""
    return not isinstance(load.devices, Unknown) and _count_with(load.devices, request, _DIGITS) < request.gpus


def _count_with(devices: Sequence[FreeDevice], request: Request, tolerance: float) -> int:
    wanted, models = request.gpu_share - tolerance, request.gpu_models
    return sum([1 for device in devices if device.share >= wanted and (not models or device.model in models)])


def _lacks_slots(load: NodeLoad, request: Request) -> bool:
    slots = load.answer.slots
    return slots is not None and load.allocations.slots + request.slots > slots


def _slots(load: NodeLoad, request: Request) -> InsufficientResource | None:
    slots = load.answer.slots
    if slots is None or not _lacks_slots(load, request):
        return None
    return InsufficientResource(
        filter="slots",
        reason="too few slots free",
        detail=f"{request.slots} requested, {max(0, slots - load.allocations.slots)} of {slots} free",
    )


def _limits(load: NodeLoad, request: Request) -> InsufficientResource | None:
    if load.answer.reading.limits is None:
        return None
    from clbalance.policy.node_limits import why_limited  # few nodes have limits

    found = why_limited(load.answer, load.cpus, load.memory.total_bytes, request)
    return None if found is None else InsufficientResource(filter=LIMITS, reason=found[0], detail=found[1])


_LACKS: tuple[Callable[[NodeLoad, Request], InsufficientResource | None], ...] = (
    _leases_unknown,
    _exclusive,
    _cpus,
    _memory,
    _tmp,
    _gpus,
    _slots,
    _limits,
)
