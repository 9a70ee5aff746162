"""Which GPUs of a node a new job may have, the best first."""

from clbalance.model import Gpu, Measured, Unknown
from clbalance.policy.ledger import ledger_of

_IDLE_PCT = 5.0


def gpu_candidates(answer: Measured) -> tuple[str, ...] | Unknown:
    """UUIDs of the devices that look free and that nobody was promised, most free memory first.

    In this order they are offered to the node, whose leases decide.
    """
    gpus = answer.reading.gpus
    if isinstance(gpus, Unknown):
        return gpus
    promised = ledger_of(answer).gpus
    free = [gpu for gpu in gpus if gpu.uuid not in promised and looks_free(gpu)]
    return tuple(gpu.uuid for gpu in sorted(free, key=_preference))


def looks_free(gpu: Gpu) -> bool:
    """No process, no memory but the driver's own (5 % at most), and a use known to be idle: unknown is never idle."""
    idle = not isinstance(gpu.use_pct, Unknown) and gpu.use_pct <= _IDLE_PCT
    return idle and not gpu.processes and gpu.mem_used_bytes * 20 <= gpu.mem_total_bytes


def _preference(gpu: Gpu) -> tuple[int, int]:
    return gpu.mem_used_bytes - gpu.mem_total_bytes, gpu.index
