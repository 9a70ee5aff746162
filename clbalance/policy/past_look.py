"""What history keeps of one answer. Pure.

Silence is part of it: an outage must be seen. But a failure of this host says nothing about a node.
"""

from collections.abc import Mapping
from typing import assert_never

from clbalance.model import Answer, Cause, Cpus, Gpu, Measured, Memory, Rates, RunQueue, Silent, TmpSpace, Unknown
from clbalance.past import PastLook
from clbalance.policy.ledger import ledger_of


def past_look(answer: Answer) -> PastLook | None:
    """None where the node was not really asked."""
    match answer:
        case Silent(cause=Cause.LOCAL | Cause.NOT_AWAITED):
            return None
        case Silent():
            return PastLook(answered=False)
        case Measured():
            gpus = answer.reading.gpus
            of_gpus = () if isinstance(gpus, Unknown) else tuple(map(_gpu_values, gpus))
            return PastLook(answered=True, values=_values(answer), gpus=of_gpus)
        case _:
            assert_never(answer)


def _values(answer: Measured) -> Mapping[str, float]:
    reading = answer.reading
    found: dict[str, float] = {}
    match reading.run_queue, reading.cpus:
        case RunQueue(r1m=r1m), Cpus(online=online) if online > 0:
            found["r1m_per_cpu"] = r1m / online
            found["load_per_cpu"] = (r1m + ledger_of(answer).debt_cpus) / online
        case _:
            pass
    if isinstance(answer.rates, Rates):
        found["ut_pct"] = answer.rates.ut_pct
    if isinstance(reading.memory, Memory):
        found["mem_available_pct"] = _share(reading.memory.available_bytes, reading.memory.total_bytes)
    if not isinstance(reading.pressure, Unknown):
        found["psi_cpu_pct"] = reading.pressure.cpu_pct
        found["psi_mem_pct"] = reading.pressure.mem_pct
        found["psi_io_pct"] = reading.pressure.io_pct
    if isinstance(reading.tmp, TmpSpace):
        found["tmp_free_pct"] = _share(reading.tmp.free_bytes, reading.tmp.total_bytes)
    if not isinstance(reading.leases, Unknown):
        found["leases"] = float(len(reading.leases))
    return found


def _gpu_values(gpu: Gpu) -> Mapping[str, float]:
    held = {"mem_pct": _share(gpu.mem_used_bytes, gpu.mem_total_bytes)}
    return held if isinstance(gpu.use_pct, Unknown) else {"use_pct": gpu.use_pct, **held}


def _share(part: float, whole: float) -> float:
    return 100.0 * part / max(1, whole)
