"""Choice of a node's GPUs for a job, its effect on fragmentation, what a job sees and may use, the cpus near. Pure."""

from collections.abc import Collection, Iterable, Mapping
from itertools import groupby

from clbalance.model import Gpu, Measured, Request, Unknown
from clbalance.model.request import HiddenGpus
from clbalance.policy.allocations import allocations_of
from clbalance.policy.placement.fragmentation import Fragmentation, FreeGpus, fragmentation_of
from clbalance.policy.placement.gpus import gpu_candidates, looks_free, matching_devices
from clbalance.policy.placement.load import NodeLoad
from clbalance.policy.placement.policies import Policy

_ROUNDING = 1e-9


def devices_for(load: NodeLoad, request: Request, policy: Policy) -> tuple[str, ...] | Unknown:
    """UUIDs of the usable devices, best first. The first ones are charged; the node itself may choose others."""
    if not request.gpus:
        return ()
    candidates = gpu_candidates(matching_devices(load.answer, request), request)
    if isinstance(candidates, Unknown) or not policy.weights.fragmentation or request.gpu_share >= 1.0:
        return candidates
    free = free_gpus(load)
    assert not isinstance(free, Unknown), "candidates are known devices"
    assert not isinstance(load.devices, Unknown), "likewise"
    place = {device.uuid: at for at, device in enumerate(load.devices)}
    on, cpus_after = fragmentation_of(policy.workload).on(free.devices), round(free.cpus - request.cpus, 6)
    return tuple(sorted(candidates, key=lambda uuid: round(on.after(place[uuid], request.gpu_share).of(cpus_after), 9)))


def free_gpus(load: NodeLoad) -> FreeGpus | Unknown:
    """A node's free cpus and GPUs, for the fragmentation measure."""
    if isinstance(load.devices, Unknown):
        return load.devices
    return FreeGpus(round(load.free_cpus, 6), tuple([(device.share, device.model) for device in load.devices]))


def growth(measure: Fragmentation, load: NodeLoad, request: Request) -> float | Unknown:
    """By how many GPUs the node's fragmentation grows if it takes the job; below 0 if it shrinks.

    0 for a node on which the job does not fit; the filters reject that node.
    """
    free = free_gpus(load)
    if isinstance(free, Unknown):
        return free
    on, cpus_after = measure.on(free.devices), round(free.cpus - request.cpus, 6)
    before = on.of(free.cpus)
    if not request.gpus:
        after = on.of(cpus_after)
    elif len(fitting := _fitting(load, request)) < request.gpus:
        after = before
    elif request.gpus == 1 and request.gpu_share < 1.0:
        distinct = {free.devices[at]: at for at in fitting}
        after = min([on.after(at, request.gpu_share).of(cpus_after) for at in distinct.values()])
    else:
        taken = frozenset(fitting[: request.gpus])
        left = tuple([device for at, device in enumerate(free.devices) if at not in taken])
        after = measure.on(left).of(cpus_after)
    # Rounded, so that equal differences compare as equal.
    return round(after - before, 9)


def _fitting(load: NodeLoad, request: Request) -> list[int]:
    """Positions of the devices that fit the request."""
    devices = () if isinstance(load.devices, Unknown) else load.devices
    wanted = request.gpu_share - _ROUNDING
    if request.constraints.where or request.gpu_mem_bytes:
        found = gpu_candidates(matching_devices(load.answer, request), request)
        candidates = frozenset[str]() if isinstance(found, Unknown) else frozenset(found)
        return [at for at, device in enumerate(devices) if device.uuid in candidates]
    models = request.gpu_models
    return [at for at, one in enumerate(devices) if one.share >= wanted and (not models or one.model in models)]


# -- the GPUs that a job sees which asks for none


def visible_gpus(answer: Measured, request: Request, hidden: HiddenGpus) -> dict[str, list[int]] | None:
    """The devices that the job may see, in their order, each with the pids of processes that must be the user's own.

    The node hides those of which that is not so, and those that are leased by then. Process 0 stands for an
    unknown one. A faulty device is left out: CUDA sees none of those after one that it cannot find. None: the job
    sees all devices, or the node has none, or they cannot be read (`unread_gpus`).
    """
    gpus = answer.reading.gpus
    if not _is_limited(request, hidden) or isinstance(gpus, Unknown) or not gpus:
        return None
    held = allocations_of(answer).gpu_shares
    in_order = sorted(gpus, key=lambda gpu: (gpu.index, gpu.uuid))
    return {
        gpu.uuid: _pids(gpu, is_leased=gpu.uuid in held) if hidden is HiddenGpus.USED else []
        for gpu in in_order
        if not gpu.fault
    }


def unread_gpus(answer: Measured, request: Request, hidden: HiddenGpus) -> str:
    """Why no device can be hidden from the job; empty if that is not so, or not wanted."""
    gpus = answer.reading.gpus
    return gpus.reason if _is_limited(request, hidden) and isinstance(gpus, Unknown) else ""


def _is_limited(request: Request, hidden: HiddenGpus) -> bool:
    return not (request.gpus or request.exclusive or hidden is HiddenGpus.NEVER)


def _pids(gpu: Gpu, *, is_leased: bool) -> list[int]:
    if not isinstance(gpu.processes, Unknown) and (pids := [one.pid for one in gpu.processes if not one.is_mps_server]):
        return pids
    # Used by a process that is not told. If it is leased, the holder's.
    return [] if is_leased or looks_free(gpu) else [0]


# -- NVIDIA's MPS keeps a share: without it, a share is an agreement


def mps_limits(answer: Measured, uuids: Collection[str], share: float) -> Mapping[str, str]:
    """The variables by which MPS limits a client to a share of its only device; empty if MPS does not run there."""
    reading = answer.reading
    if share >= 1.0 or reading.gpu_mps is not True or isinstance(reading.gpus, Unknown):
        return {}
    device = next((gpu for gpu in reading.gpus if gpu.uuid in uuids), None)
    if device is None:
        return {}
    limits = {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(max(1, int(100.0 * share + _ROUNDING)))}
    if not isinstance(device.mem_total_bytes, Unknown):
        # The job sees one device, so its number is 0.
        limits["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = f"0={int(device.mem_total_bytes * share) >> 20}M"
    return limits


# -- the cpus near a GPU: those of its NUMA node


def cpus_near(answer: Measured, uuids: Iterable[str]) -> list[str]:
    """For each device the ids of the near cpus as `0-3,8`; empty if unknown."""
    reading = answer.reading
    if isinstance(reading.cpus, Unknown) or isinstance(reading.gpus, Unknown):
        return ["" for _ in uuids]
    lists = {numa.id: cpulist(numa.cpus) for numa in reading.cpus.numa}
    near = {
        gpu.uuid: "" if isinstance(gpu.numa_node, Unknown) else lists.get(gpu.numa_node, "") for gpu in reading.gpus
    }
    return [near.get(uuid, "") for uuid in uuids]


def cpulist(ids: Iterable[int]) -> str:
    """Cpu ids as the kernel writes them, such as `0-3,8`."""
    runs = [[cpu for _, cpu in run] for _, run in groupby(enumerate(sorted(ids)), key=lambda at: at[1] - at[0])]
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
