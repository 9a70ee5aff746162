"""Readers of load indices: from a node that answered to a number, or why it is unknown. Pure.

Input: a `Node`. Most numbers come from one section of its reading, which is known or unknown as a whole.
"""

from collections.abc import Callable
from typing import TypeVar

from clbalance.model import Cpus, Measured, Memory, Pressure, Rates, RunQueue, TmpSpace, Unknown
from clbalance.policy.allocations import readable
from clbalance.policy.indices.row import Node, Read

_Section = TypeVar("_Section")


def _of(section: Callable[[Measured], _Section | Unknown], figure: Callable[[_Section], float | Unknown]) -> Read:
    """A reader of a number in a section of the answer, which is known or unknown as a whole."""

    def read(node: Node) -> float | Unknown:
        found = section(node.answer)
        return found if isinstance(found, Unknown) else figure(found)

    return read


def of_queue(figure: Callable[[RunQueue], float]) -> Read:
    """A reader of the run queue."""
    return _of(lambda answer: answer.reading.run_queue, figure)


def of_memory(figure: Callable[[Memory], float | Unknown]) -> Read:
    """A reader of the memory."""
    return _of(lambda answer: answer.reading.memory, figure)


def of_tmp(figure: Callable[[TmpSpace], float | Unknown]) -> Read:
    """A reader of the temporary folder's file system."""
    return _of(lambda answer: answer.reading.tmp, figure)


def of_pressure(figure: Callable[[Pressure], float | Unknown]) -> Read:
    """A reader of the pressure stall information."""
    return _of(lambda answer: answer.reading.pressure, figure)


def of_cpus(figure: Callable[[Cpus], float]) -> Read:
    """A reader of the cpus."""
    return _of(lambda answer: answer.reading.cpus, figure)


def of_rates(figure: Callable[[Rates], float | Unknown]) -> Read:
    """A reader of the rates since the previous reading; unknown until there is one."""
    return _of(lambda answer: answer.rates, figure)


def kib(bytes_per_s: float | Unknown) -> float | Unknown:
    """Bytes per second in KiB per second."""
    return bytes_per_s if isinstance(bytes_per_s, Unknown) else bytes_per_s / 1024


def effective_r1m(node: Node) -> float | Unknown:
    """Run queue plus the allocated cpus that it does not show yet."""
    queue = node.answer.reading.run_queue
    return queue if isinstance(queue, Unknown) else queue.r1m + node.allocations.unreflected_cpus


def effective_mem(node: Node) -> float | Unknown:
    """Available memory in bytes, minus the allocated memory that it does not show yet."""
    memory = node.answer.reading.memory
    return (
        memory
        if isinstance(memory, Unknown)
        else max(0.0, memory.available_bytes - node.allocations.unreflected_mem_bytes)
    )


def _per_cpu(node: Node, queue: float | Unknown) -> float | Unknown:
    cpus = node.answer.reading.cpus
    if isinstance(queue, Unknown):
        return queue
    if isinstance(cpus, Unknown):
        return cpus
    return queue / cpus.online if cpus.online > 0 else Unknown(reason="no cpu online")


def load_per_cpu(node: Node) -> float | Unknown:
    """Effective run queue per online cpu; 1.0: one process for every cpu."""
    return _per_cpu(node, effective_r1m(node))


def r1m_per_cpu(node: Node) -> float | Unknown:
    """Measured run queue per online cpu."""
    return _per_cpu(node, r1m(node))


def mem_available_pct(memory: Memory) -> float | Unknown:
    """Memory available to a new program, in per cent."""
    return _share(memory.available_bytes, memory.total_bytes, "there is no memory")


def tmp_free_pct(tmp: TmpSpace) -> float | Unknown:
    """Free space in the temporary folder's file system, in per cent."""
    return _share(tmp.free_bytes, tmp.total_bytes, f"`{tmp.path}` has no size")


def _share(part: int, whole: int, nothing: str) -> float | Unknown:
    return 100.0 * part / whole if whole > 0 else Unknown(reason=nothing)


def leases(node: Node) -> float | Unknown:
    """Number of valid leases of all users."""
    found = node.answer.reading.leases
    return found if isinstance(found, Unknown) else len(found)


def leased_cpus(node: Node) -> float | Unknown:
    """The cpus of all leases that can be read."""
    found = node.answer.reading.leases
    return found if isinstance(found, Unknown) else sum(one.cpus for one in readable(found))


def drained_pct(node: Node) -> float | Unknown:
    """100 if a drain mark keeps everybody's jobs off the node."""
    found = node.answer.reading.drains
    return found if isinstance(found, Unknown) else 100.0 * any(mark.binds_all for mark in found)


def gpus(node: Node) -> float | Unknown:
    """The number of GPUs, whatever their state."""
    found = node.answer.reading.gpus
    return found if isinstance(found, Unknown) else len(found)


r1m = of_queue(lambda queue: queue.r1m)
mem_total = of_memory(lambda memory: memory.total_bytes)
swp_total = of_memory(lambda memory: memory.swap_total_bytes)
tmp_total = of_tmp(lambda tmp: tmp.total_bytes)
ut_pct = of_rates(lambda rates: rates.ut_pct)
psi_cpu_pct = of_pressure(lambda pressure: pressure.cpu_pct)
psi_mem_pct = of_pressure(lambda pressure: pressure.mem_pct)
psi_io_pct = of_pressure(lambda pressure: pressure.io_pct)
