"""The load that placement counts: what was measured plus what was promised and does not show yet.

Enters: a node that answered. Leaves: its `Load`, or why it has none. A node whose run queue, cpus or memory
are not known has no load at all, and nothing downstream can take it for an idle one.
"""

import math

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cpus, Measured, Memory, RunQueue, Unknown
from clbalance.policy.gpus import FreeDevice, free_devices
from clbalance.policy.ledger import Ledger, ledger_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A node whose load is known. `run_queue` is r1m plus the node's debt, in processes, not per cpu."""

    answer: Measured
    ledger: Ledger
    r1m: float
    run_queue: float
    cpus: int
    memory: Memory
    devices: tuple[FreeDevice, ...] | Unknown
    """What is left of each GPU, the least first."""

    @property
    def mem_available_pct(self) -> float:
        """Share of the memory that a new program may have, promises aside."""
        return 100.0 * self.memory.available_bytes / self.memory.total_bytes


def effective_load(answer: Measured) -> Load | Unknown:
    """The load of a node that answered, its debt included."""
    reading = answer.reading
    match reading.run_queue, reading.cpus, reading.memory:
        case RunQueue() as queue, Cpus() as cpus, Memory() as memory:
            pass
        case _:
            return Unknown(why=_first_unknown(answer))
    # The parsers bound what a node says; this keeps a nonsense that slipped through from ranking first.
    if not (0.0 <= queue.r1m < math.inf and cpus.online > 0 and memory.total_bytes > 0):
        return Unknown(
            why=f"r1m {queue.r1m:g}, {cpus.online} cpus and {memory.total_bytes} bytes of memory make no load"
        )
    ledger = ledger_of(answer)
    return Load(
        answer=answer,
        ledger=ledger,
        r1m=queue.r1m,
        run_queue=queue.r1m + ledger.debt_cpus,
        cpus=cpus.online,
        memory=memory,
        devices=free_devices(reading.gpus, ledger.gpu_shares),
    )


def _first_unknown(answer: Measured) -> str:
    reading = answer.reading
    sections = (("run queue", reading.run_queue), ("cpus", reading.cpus), ("memory", reading.memory))
    return next(f"{name}: {section.why}" for name, section in sections if isinstance(section, Unknown))
