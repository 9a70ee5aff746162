"""Which GPUs of a node a new job may have, whole or a share of one, the best first."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from clbalance.model import Gpu, Measured, Unknown
from clbalance.policy.ledger import ledger_of

_IDLE_PCT = 5.0
_ROUNDING: Final = 1e-9
"""Of a device: three thirds are a whole."""


def gpu_candidates(answer: Measured, share: float = 1.0) -> tuple[str, ...] | Unknown:
    """UUIDs of the devices of which `share` may be had.

    Whole ones: those that look free and that nobody was promised, most free memory first. Shares: those, and what
    only shares are held of, the fullest first, so that whole devices stay whole. In this order they are offered to
    the node, whose leases decide.
    """
    gpus = answer.reading.gpus
    if isinstance(gpus, Unknown):
        return gpus
    held = ledger_of(answer).gpu_shares
    fit = [gpu for gpu in gpus if has_room(gpu, held.get(gpu.uuid, 0.0), share)]
    return tuple(gpu.uuid for gpu in sorted(fit, key=lambda gpu: (-held.get(gpu.uuid, 0.0), *_preference(gpu))))


class FreeDevice(NamedTuple):
    """The share of a device that can still be promised."""

    share: float
    model: str
    uuid: str


def free_devices(gpus: tuple[Gpu, ...] | Unknown, held: Mapping[str, float]) -> tuple[FreeDevice, ...] | Unknown:
    """Every device with what is left of it, the least first: 0 of what strangers use."""
    if isinstance(gpus, Unknown):
        return gpus
    return tuple(sorted([FreeDevice(_left(gpu, held.get(gpu.uuid, 0.0)), gpu.model, gpu.uuid) for gpu in gpus]))


def _left(gpu: Gpu, held: float) -> float:
    usable = without_strangers(gpu, held) if held else looks_free(gpu)
    return round(max(0.0, 1.0 - held), 6) if usable else 0.0


def has_room(gpu: Gpu, held: float, share: float) -> bool:
    """Whether `share` of a device can be promised of which `held` is promised already."""
    return held + share <= 1.0 + _ROUNDING and (without_strangers(gpu, held) if held else looks_free(gpu))


def without_strangers(gpu: Gpu, held: float) -> bool:
    """A driver does not tell whose a process is, so those on a shared device are taken for its leases' own.

    They are so as long as they use no more memory than was promised of it, and 5 % for the driver.
    """
    return gpu.mem_used_bytes <= (held + 0.05) * gpu.mem_total_bytes


def looks_free(gpu: Gpu) -> bool:
    """No process, no memory but the driver's own (5 % at most), and a use known to be idle: unknown is never idle."""
    idle = not isinstance(gpu.use_pct, Unknown) and gpu.use_pct <= _IDLE_PCT
    return idle and not gpu.processes and gpu.mem_used_bytes * 20 <= gpu.mem_total_bytes


def _preference(gpu: Gpu) -> tuple[int, int]:
    return gpu.mem_used_bytes - gpu.mem_total_bytes, gpu.index
