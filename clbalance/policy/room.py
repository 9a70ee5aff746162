"""What a node has left to promise, by the formulas of its own admission (docs/design/leases.md)."""

from typing import Final

from clbalance.policy.effective import Load

NOISE_CPUS: Final = 0.5
"""Processes: an idle node's own, and the swing of the average. Without this allowance a node of one cpu with
r1m 0.01 would have 0.99 cpus to give, and nobody would ever get all cpus of any node."""


def free_cpus(*, capacity: float, r1m: float, promised: float, visible: float) -> float:
    """Cpus that are neither promised nor used by somebody without a promise; below 0 where more is taken."""
    return capacity - promised - max(0.0, r1m - visible - NOISE_CPUS)


def free_mem_bytes(*, total: int, available: int, promised: int, visible: float) -> float:
    """Memory likewise, and never more than is available."""
    return min(available, total - promised - max(0.0, total - available - visible))


def cpus_left(load: Load) -> float:
    """Cpus that this node can still promise."""
    ledger = load.ledger
    return free_cpus(capacity=load.cpus, r1m=load.r1m, promised=ledger.cpus, visible=ledger.visible_cpus)


def mem_bytes_left(load: Load) -> float:
    """Memory that this node can still promise."""
    return free_mem_bytes(
        total=load.memory.total_bytes,
        available=load.memory.available_bytes,
        promised=load.ledger.mem_bytes,
        visible=load.ledger.visible_mem_bytes,
    )
