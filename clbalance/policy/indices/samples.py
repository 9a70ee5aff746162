"""The values behind `Measured.trends`: numbers of one sample, by name. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from clbalance.model import Gpu, Measured, Unknown
from clbalance.policy.indices.row import AnsweredNode
from clbalance.policy.indices.table import TRENDS
from clbalance.policy.node_memory import values_of

R1M_PER_CPU: Final = "r1m_per_cpu"
"""Measured run queue per online cpu, without debt."""
_GUT: Final = "gut_pct"
_GMEM: Final = "gmem_pct"
_GPROCS: Final = "gprocs"


def index_values(answer: Measured) -> Mapping[str, float]:
    """The numbers of this sample by name; unknown ones are left out."""
    found = values_of(AnsweredNode.of(answer), TRENDS)
    gpus = answer.reading.gpus
    for gpu in () if isinstance(gpus, Unknown) else gpus:
        found.update(_samples_of_gpu(gpu))
    return found


def _samples_of_gpu(gpu: Gpu) -> Iterator[tuple[str, float]]:
    if not isinstance(gpu.mem_used_pct, Unknown):
        yield gmem_name(gpu), gpu.mem_used_pct
    if not isinstance(gpu.processes, Unknown):
        yield gprocs_name(gpu), float(len(gpu.processes))
    if not isinstance(gpu.use_pct, Unknown):
        yield gut_name(gpu), gpu.use_pct


def gut_name(gpu: Gpu) -> str:
    """Name of a device's use, in per cent of time."""
    return f"{_GUT} {gpu.uuid}"


def gmem_name(gpu: Gpu) -> str:
    """Name of a device's used memory, in per cent."""
    return f"{_GMEM} {gpu.uuid}"


def gprocs_name(gpu: Gpu) -> str:
    """Name of the number of processes that hold memory on a device."""
    return f"{_GPROCS} {gpu.uuid}"
