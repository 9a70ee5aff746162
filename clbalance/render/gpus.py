"""The GPUs of one node: a summary for tables and plain lines, and each of them as JSON."""

from collections import Counter
from collections.abc import Sequence

from clbalance.model import Gpu, Lease, Measured, NodeName, Unknown
from clbalance.policy.allocations import allocations_of
from clbalance.policy.gpu_users import GpuUser, ShareExcess, is_strangers, share_excesses, users_of
from clbalance.policy.placement.gpus import GpuCondition, GpuState, free_mem_bytes, gpu_condition, gpu_label
from clbalance.render.names import KnownNames
from clbalance.render.text import Json, iec

_SUMMARY_STATES = (GpuState.SHARED, GpuState.HELD_IDLE, GpuState.FAULTY, GpuState.UNKNOWN)
"""States that a summary counts in addition to free ones; the others are busy."""
_PROBLEM_STATES = frozenset({GpuState.HELD_IDLE, GpuState.FAULTY, GpuState.UNKNOWN})
"""States that somebody should look into."""


def gpu_conditions(answer: Measured, gpus: Sequence[Gpu]) -> list[tuple[Gpu, float, GpuCondition]]:
    """Each GPU with the share that leases hold, from 0 to 1, and its condition."""
    held = allocations_of(answer).gpu_shares
    shares = [held.get(gpu.uuid, 0.0) for gpu in gpus]
    return [(gpu, share, gpu_condition(gpu, share, answer.trends)) for gpu, share in zip(gpus, shares, strict=True)]


def device_numbers(gpus: Sequence[Gpu]) -> dict[str, str]:
    """For each UUID the device's index; for a MIG instance `INDEX.PART`, counted as the driver does."""
    numbers: dict[str, str] = {}
    parts: Counter[str] = Counter()
    for gpu in gpus:
        numbers[gpu.uuid] = f"{gpu.index}.{parts[gpu.parent]}" if gpu.parent else str(gpu.index)
        parts[gpu.parent] += 1
    return numbers


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


def excess_text(excess: ShareExcess) -> str:
    """That a job holds more of a device's memory than it has leased."""
    return f"holds {iec(excess.mem_bytes)}, its share is {iec(excess.share_bytes)}"


def excesses_text(excesses: Sequence[tuple[NodeName, ShareExcess]]) -> str:
    """The same on several nodes."""
    return "; ".join(f"{gpu_label(one.gpu)} of {node}: {excess_text(one)}" for node, one in excesses)


def gpus_document(answer: Measured, names: KnownNames) -> list[Json] | Unknown:
    """Every device with its state, and who is on it."""
    gpus = answer.reading.gpus
    if isinstance(gpus, Unknown):
        return gpus
    users, excesses = users_of(answer.reading), share_excesses(answer.reading)
    return [
        {
            **_gpu(gpu, share, found, [_process(answer, user, names) for user in users[gpu.uuid] if user.process]),
            "over_share": [_excess(answer, one, names) for one in excesses if one.gpu is gpu],
        }
        for gpu, share, found in gpu_conditions(answer, gpus)
    ]


def _gpu(gpu: Gpu, share: float, found: GpuCondition, known_processes: list[Json]) -> dict[str, Json]:
    free, processes = free_mem_bytes(gpu, share), gpu.processes
    facts: dict[str, Json | Unknown] = {
        "mem_total_bytes": gpu.mem_total_bytes,
        "mem_used_bytes": gpu.mem_used_bytes,
        "mem_free_bytes": free if isinstance(free, Unknown) else int(free),
        "use_pct": gpu.use_pct,
        "temperature_c": gpu.temperature_c,
        "numa_node": gpu.numa_node,
        "processes": processes if isinstance(processes, Unknown) else known_processes,
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


def _process(answer: Measured, user: GpuUser, names: KnownNames) -> Json:
    process = user.process
    assert process is not None
    held, lease, uid = process.mem_bytes, user.lease, process.uid
    return {
        "pid": process.pid,
        "name": process.name,
        "mem_bytes": None if isinstance(held, Unknown) else held,
        "uid": uid,
        "user": None if uid is None else names.user(answer.node, uid),
        "stranger": is_strangers(user, answer.reading),
        "job": None if lease is None else job_document(answer, lease, names),
        "holds_device": user.holds_device,
    }


def _excess(answer: Measured, excess: ShareExcess, names: KnownNames) -> Json:
    job = job_document(answer, excess.lease, names)
    return {"job": job, "mem_bytes": excess.mem_bytes, "share_bytes": excess.share_bytes}


def job_document(answer: Measured, lease: Lease, names: KnownNames) -> dict[str, Json]:
    """The job that holds a lease."""
    known = names.job(answer, lease)
    return {
        "id": None if known is None else known.id,
        "key": lease.key,
        "uid": lease.uid,
        "user": names.user(answer.node, lease.uid),
    }
