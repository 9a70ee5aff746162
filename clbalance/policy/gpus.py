"""Which GPUs of a node a new job may have, whole or a share of one, the best first; and why not the others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from clbalance.model import Gpu, Measured, Request, Unknown
from clbalance.policy.gpu_state import gpu_condition, has_place, is_usable
from clbalance.policy.ledger import ledger_of

_MOST_TOLD: Final = 4
"""Devices whose reasons fit into one line."""
_ONE: Final = Request(gpus=1)
_ROUNDING_BYTES: Final = 0.5

Shares: TypeAlias = Mapping[str, float]
"""How much of each device is promised, by UUID."""


def gpu_candidates(answer: Measured, request: Request = _ONE) -> tuple[str, ...] | Unknown:
    """UUIDs of the devices of which the request may have what it asks of each.

    Whole ones: those that are free, most free memory first; of several those of one NUMA node first, from the node
    with the fewest that are enough. Shares: those, and what only shares are held of, the fullest first, so that
    whole devices stay whole. In this order they are offered to the node, whose leases decide.
    """
    gpus = answer.reading.gpus
    return gpus if isinstance(gpus, Unknown) else candidates_among(gpus, answer, request)


def candidates_among(gpus: Sequence[Gpu], answer: Measured, request: Request) -> tuple[str, ...]:
    """The same, of a node whose devices are known."""
    if not gpus:
        return ()
    held = ledger_of(answer).gpu_shares
    fit = [gpu for gpu in gpus if all(holds(gpu, held.get(gpu.uuid, 0.0), request) for _, holds in _WISHES)]
    fit.sort(key=lambda gpu: _preference(gpu, held.get(gpu.uuid, 0.0)))
    return tuple(gpu.uuid for gpu in (fit if request.gpus <= 1 else _near_each_other(fit, request.gpus)))


def _preference(gpu: Gpu, held: float) -> tuple[float, float, int, str]:
    return -held, -free_mem_bytes(gpu, held), gpu.index, gpu.uuid


def free_mem_bytes(gpu: Gpu, held: float) -> float:
    """What neither is used nor promised: a share of a device is as much of its memory."""
    return gpu.mem_total_bytes - max(min(1.0, held) * gpu.mem_total_bytes, float(gpu.mem_used_bytes))


class FreeDevice(NamedTuple):
    """The share of a device that can still be promised."""

    share: float
    model: str
    uuid: str


def free_devices(gpus: tuple[Gpu, ...] | Unknown, held: Shares) -> tuple[FreeDevice, ...] | Unknown:
    """Every device with what is left of it, the least first: 0 of what strangers use, and of what is faulty."""
    if isinstance(gpus, Unknown):
        return gpus
    return tuple(sorted([FreeDevice(_left(gpu, held.get(gpu.uuid, 0.0)), gpu.model, gpu.uuid) for gpu in gpus]))


def _left(gpu: Gpu, held: float) -> float:
    return round(max(0.0, 1.0 - held), 6) if is_usable(gpu, held) else 0.0


def _near_each_other(fit: Sequence[Gpu], count: int) -> list[Gpu]:
    """Those first that hang on one NUMA node; where none has enough, from as few of them as possible."""
    groups: dict[int, list[Gpu]] = {}
    for gpu in fit:
        groups.setdefault(-1 if isinstance(gpu.numa_node, Unknown) else gpu.numa_node, []).append(gpu)

    def rank(one: tuple[int, list[Gpu]]) -> tuple[bool, int, bool, int]:
        # What is enough comes before what is not: of the first the smallest, of the others the largest.
        numa, group = one
        return len(group) < count, abs(len(group) - count), numa < 0, numa

    return [gpu for _, group in sorted(groups.items(), key=rank) for gpu in group]


def why_too_few(answer: Measured, gpus: Sequence[Gpu], request: Request) -> tuple[str, str]:
    """The reason that groups nodes, and what stands against the devices of this one."""
    held = ledger_of(answer).gpu_shares
    left = gpus
    for reason, holds in _WISHES:
        kept = [gpu for gpu in left if holds(gpu, held.get(gpu.uuid, 0.0), request)]
        if len(kept) < min(request.gpus, len(left)):
            return reason, _told([gpu for gpu in left if gpu not in kept], answer, held)
        left = kept
    return TOO_FEW_FREE, ""


def _told(gpus: Sequence[Gpu], answer: Measured, shares: Shares) -> str:
    told = [_one_told(gpu, answer, shares.get(gpu.uuid, 0.0)) for gpu in gpus[:_MOST_TOLD]]
    rest = len(gpus) - len(told)
    return ", ".join(told) + (f", and {rest} more" if rest else "")


def _one_told(gpu: Gpu, answer: Measured, held: float) -> str:
    found = gpu_condition(gpu, held, answer.trends)
    what = found.reason or f"{gpu.model}, {free_mem_bytes(gpu, held) / 2**30:.3g} GiB free"
    return f"{gpu_label(gpu)} {found.state} ({what})"


def gpu_label(gpu: Gpu) -> str:
    """Such as "GPU 1"; a part is told with its UUID's beginning, for parts have no numbers of their own."""
    return f"GPU {gpu.index} part {gpu.uuid[:12]}" if gpu.parent else f"GPU {gpu.index}"


def _is_of_a_model(gpu: Gpu, _: float, request: Request) -> bool:
    return not request.gpu_models or gpu.model in request.gpu_models


def _is_whole_among_several(gpu: Gpu, _: float, request: Request) -> bool:
    # CUDA shows a process one part at most, whatever it is handed (NVIDIA's MIG user guide, "device enumeration").
    return request.gpus <= 1 or not gpu.parent


def _has_place(gpu: Gpu, held: float, request: Request) -> bool:
    return has_place(gpu, held, request.gpu_share)


def _has_memory(gpu: Gpu, held: float, request: Request) -> bool:
    return request.gpu_mem_bytes <= free_mem_bytes(gpu, held) + _ROUNDING_BYTES


TOO_FEW_FREE: Final = "too few GPUs free"
_WISHES: Final[tuple[tuple[str, Callable[[Gpu, float, Request], bool]], ...]] = (
    ("too few GPUs of that model", _is_of_a_model),
    ("too few whole GPUs", _is_whole_among_several),
    (TOO_FEW_FREE, _has_place),
    ("too little GPU memory free", _has_memory),
)
"""What a device must be, and how a node is refused that has too few that are."""
