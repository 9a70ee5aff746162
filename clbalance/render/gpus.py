"""The GPUs of one node: a summary for tables and plain lines, and each of them as JSON."""

from collections import Counter
from collections.abc import Sequence

from clbalance.model import Gpu, GpuProcess, Measured, Unknown
from clbalance.policy.allocations import allocations_of
from clbalance.policy.placement.gpus import GpuCondition, GpuState, free_mem_bytes, gpu_condition, gpu_label
from clbalance.render.text import Json

_SUMMARY_STATES = (GpuState.SHARED, GpuState.HELD_IDLE, GpuState.FAULTY, GpuState.UNKNOWN)
"""States that a summary counts in addition to free ones; the others are busy."""
_PROBLEM_STATES = frozenset({GpuState.HELD_IDLE, GpuState.FAULTY, GpuState.UNKNOWN})
"""States that somebody should look into."""


def gpu_conditions(answer: Measured, gpus: Sequence[Gpu]) -> list[tuple[Gpu, float, GpuCondition]]:
    """Each GPU with the share that leases hold, from 0 to 1, and its condition."""
    held = allocations_of(answer).gpu_shares
    shares = [held.get(gpu.uuid, 0.0) for gpu in gpus]
    return [(gpu, share, gpu_condition(gpu, share, answer.trends)) for gpu, share in zip(gpus, shares, strict=True)]


def gpus_summary(answer: Measured, gpus: Sequence[Gpu]) -> str:
    """Counts by state, such as `1/4 free 1 faulty`."""
    states = Counter(found.state for _, _, found in gpu_conditions(answer, gpus))
    parts = [f"{states[state]} {state}" for state in _SUMMARY_STATES if states[state]]
    return " ".join([f"{states[GpuState.FREE]}/{len(gpus)} free", *parts])


def gpus_reason(answer: Measured) -> str:
    """The GPUs that are held idle, faulty or unknown, with reasons; empty without any problem."""
    gpus = answer.reading.gpus
    if isinstance(gpus, Unknown):
        return f"GPUs unknown: {gpus.reason}"
    if not gpus:
        return ""  # a driver without a device may be meant so: `doctor` notes it
    found = gpu_conditions(answer, gpus)
    problems = [f"{gpu_label(gpu)} {one.state}: {one.reason}" for gpu, _, one in found if one.state in _PROBLEM_STATES]
    return ", ".join([*problems, *(f"GPUs missing: {reason}" for reason in answer.reading.gpus_missing)])


def gpu_states(answer: Measured) -> str | None:
    """The state of each GPU, such as `free,held_idle`, in the order of the devices; None if the GPUs are unknown."""
    gpus = answer.reading.gpus
    if isinstance(gpus, Unknown):
        return None
    return ",".join(found.state.replace(" ", "_") for _, _, found in gpu_conditions(answer, gpus))


def gpus_document(answer: Measured) -> list[Json] | Unknown:
    """Every device with its state."""
    gpus = answer.reading.gpus
    if isinstance(gpus, Unknown):
        return gpus
    return [_gpu(gpu, share, found) for gpu, share, found in gpu_conditions(answer, gpus)]


def _gpu(gpu: Gpu, share: float, found: GpuCondition) -> Json:
    free, processes = free_mem_bytes(gpu, share), gpu.processes
    facts: dict[str, Json | Unknown] = {
        "mem_total_bytes": gpu.mem_total_bytes,
        "mem_used_bytes": gpu.mem_used_bytes,
        "mem_free_bytes": free if isinstance(free, Unknown) else int(free),
        "use_pct": gpu.use_pct,
        "temperature_c": gpu.temperature_c,
        "numa_node": gpu.numa_node,
        "processes": processes if isinstance(processes, Unknown) else [_process(process) for process in processes],
    }
    return {
        "uuid": gpu.uuid,
        "index": gpu.index,
        "model": gpu.model,
        "state": found.state,
        "reason": found.reason or None,
        "leased_share": share,
        **{key: None if isinstance(value, Unknown) else value for key, value in facts.items()},
        "driver_version": gpu.driver_version,
        "cuda_version": gpu.cuda_version or None,
        "parent": gpu.parent or None,
        "unseen": list(gpu.unseen),
        "unknown": {key: value.reason for key, value in facts.items() if isinstance(value, Unknown)},
    }


def _process(process: GpuProcess) -> Json:
    held = process.mem_bytes
    return {"pid": process.pid, "name": process.name, "mem_bytes": None if isinstance(held, Unknown) else held}
