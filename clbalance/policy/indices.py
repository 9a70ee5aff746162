"""Load indices as single numbers, for thresholds and scorers alike: each known, or unknown with its reason."""

from clbalance.model import Pressure, Rates, TmpSpace, Unknown
from clbalance.policy.effective import Load


def run_queue_per_cpu(load: Load) -> float:
    """Effective run queue over the online cpus; 1.0 means that every cpu has one process to run."""
    return load.run_queue / load.cpus


def mem_available_pct(load: Load) -> float:
    """Share of the memory that a new program may have."""
    return load.mem_available_pct


def ut_pct(load: Load) -> float | Unknown:
    """CPU use of all cpus together since the previous reading."""
    match load.answer.rates:
        case Rates(ut_pct=use):
            return use
        case unknown:
            return unknown


def tmp_free_pct(load: Load) -> float | Unknown:
    """Free share of the temporary folder's file system."""
    match load.answer.reading.tmp:
        case TmpSpace(total_bytes=total, free_bytes=free) if total > 0:
            return 100.0 * free / total
        case TmpSpace(path=path):
            return Unknown(why=f"`{path}` has no size")
        case unknown:
            return unknown


def psi_cpu_pct(load: Load) -> float | Unknown:
    """Share of the last ten seconds in which something waited for a cpu."""
    pressure = load.answer.reading.pressure
    return pressure.cpu_pct if isinstance(pressure, Pressure) else pressure


def psi_mem_pct(load: Load) -> float | Unknown:
    """Share of the last ten seconds in which something waited for memory."""
    pressure = load.answer.reading.pressure
    return pressure.mem_pct if isinstance(pressure, Pressure) else pressure


def psi_io_pct(load: Load) -> float | Unknown:
    """Share of the last ten seconds in which something waited for a disk."""
    pressure = load.answer.reading.pressure
    return pressure.io_pct if isinstance(pressure, Pressure) else pressure
