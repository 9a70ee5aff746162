"""The load that placement counts, and a node's free cpus and memory. Pure.

Input: a node that answered. Output: its `NodeLoad`, or why it is unknown. A node with unknown run queue, cpus or memory
has no load at all, so it is never mistaken for an idle node.
"""

import math
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cpus, Measured, Memory, RunQueue, Unknown
from clbalance.policy.allocations import NodeAllocations, allocations_of
from clbalance.policy.placement.gpus import FreeDevice, free_devices


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLoad:
    """A node whose load is known. `run_queue` is r1m plus the node's debt, in processes, not per cpu."""

    answer: Measured
    allocations: NodeAllocations
    r1m: float
    run_queue: float
    cpus: int
    memory: Memory
    devices: tuple[FreeDevice, ...] | Unknown
    """The free share of each GPU, smallest first."""
    free_cpus: float
    """Neither allocated nor used without an allocation; below 0 if more is taken than there is."""
    free_mem_bytes: float
    """Memory likewise."""

    @property
    def mem_available_pct(self) -> float:
        """Memory available to a new program, in per cent; allocations are not subtracted."""
        return 100.0 * self.memory.available_bytes / self.memory.total_bytes


def effective_load(answer: Measured) -> NodeLoad | Unknown:
    """The load of a node that answered, with its debt."""
    reading = answer.reading
    match reading.run_queue, reading.cpus, reading.memory:
        case RunQueue() as queue, Cpus() as cpus, Memory() as memory:
            pass
        case _:
            return Unknown(reason=_first_unknown(answer))
    # The parsers check all values; this keeps a wrong value that slipped through from ranking first.
    if not (0.0 <= queue.r1m < math.inf and cpus.online > 0 and memory.total_bytes > 0):
        return Unknown(
            reason=f"r1m {queue.r1m:g}, {cpus.online} cpus and {memory.total_bytes} bytes of memory make no load"
        )
    allocations = allocations_of(answer)
    return NodeLoad(
        answer=answer,
        allocations=allocations,
        r1m=queue.r1m,
        run_queue=queue.r1m + allocations.unreflected_cpus,
        cpus=cpus.online,
        memory=memory,
        devices=free_devices(reading.gpus, allocations.gpu_shares),
        free_cpus=free_cpus(
            capacity=cpus.online, r1m=queue.r1m, allocated=allocations.cpus, reflected=allocations.reflected_cpus
        ),
        free_mem_bytes=free_mem_bytes(
            total=memory.total_bytes,
            available=memory.available_bytes,
            allocated=allocations.mem_bytes,
            reflected=allocations.reflected_mem_bytes,
        ),
    )


def _first_unknown(answer: Measured) -> str:
    reading = answer.reading
    sections = (("run queue", reading.run_queue), ("cpus", reading.cpus), ("memory", reading.memory))
    return next(f"{name}: {section.reason}" for name, section in sections if isinstance(section, Unknown))


# -- free cpus and memory, by the formulas of the node's own admission (docs/design/leases.md)

NOISE_CPUS: Final = 0.5
"""Processes: an idle node's own load, and noise of the average. Without this allowance a node of one cpu with r1m
0.01 would have only 0.99 cpus free, and no job could ever get all cpus of a node."""


def free_cpus(*, capacity: float, r1m: float, allocated: float, reflected: float) -> float:
    """Cpus neither allocated nor used without an allocation; below 0 if more than `capacity` is taken."""
    return capacity - allocated - max(0.0, r1m - reflected - NOISE_CPUS)


def free_mem_bytes(*, total: int, available: int, allocated: int, reflected: float) -> float:
    """Memory likewise, but never more than is available."""
    return min(available, total - allocated - max(0.0, total - available - reflected))
