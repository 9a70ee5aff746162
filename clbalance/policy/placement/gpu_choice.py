"""Which devices of a node a job is given, what that makes of the rest, and which cpus are near them."""

from collections.abc import Iterable
from itertools import groupby

from clbalance.model import Measured, Request, Unknown
from clbalance.policy.placement.fragmentation import Fragmentation, FreeGpus, fragmentation_of, without
from clbalance.policy.placement.gpus import gpu_candidates, matching_devices
from clbalance.policy.placement.load import NodeLoad, available_cpus
from clbalance.policy.placement.policies import Policy

_ROUNDING = 1e-9


def devices_for(load: NodeLoad, request: Request, policy: Policy) -> tuple[str, ...] | Unknown:
    """UUIDs of the devices that would do, the best first: of these it is charged the first, and its node may differ."""
    if not request.gpus:
        return ()
    candidates = gpu_candidates(matching_devices(load.answer, request), request)
    if isinstance(candidates, Unknown) or not policy.weights.fragmentation or request.gpu_share >= 1.0:
        return candidates
    measure, free = fragmentation_of(policy.workload), free_gpus(load)
    assert not isinstance(free, Unknown), "candidates are known devices"
    assert not isinstance(load.devices, Unknown), "likewise"
    place = {device.uuid: at for at, device in enumerate(load.devices)}
    return tuple(sorted(candidates, key=lambda uuid: round(_left_by(measure, free, request, place[uuid]), 9)))


def free_gpus(load: NodeLoad) -> FreeGpus | Unknown:
    """What a node has left, as fragmentation sees it."""
    if isinstance(load.devices, Unknown):
        return load.devices
    return FreeGpus(round(available_cpus(load), 6), tuple([(device.share, device.model) for device in load.devices]))


def growth(measure: Fragmentation, load: NodeLoad, request: Request) -> float | Unknown:
    """By how many GPUs the node's fragment grows if it takes the job; below 0 where it shrinks.

    0 for a node on which it does not fit, for the filters say so.
    """
    free = free_gpus(load)
    if isinstance(free, Unknown):
        return free
    if not request.gpus:
        after = measure.of(FreeGpus(round(free.cpus - request.cpus, 6), free.devices))
    else:
        after = _smallest_after(measure, free, _fitting(load, request), request)
    # Differences of sums of products: what is equal should look equal.
    return round(after - measure.of(free), 9)


def _fitting(load: NodeLoad, request: Request) -> list[int]:
    """The places of the devices that the request may have."""
    devices = () if isinstance(load.devices, Unknown) else load.devices
    wanted = request.gpu_share - _ROUNDING
    if request.constraints.where or request.gpu_mem_bytes:
        found = gpu_candidates(matching_devices(load.answer, request), request)
        candidates = frozenset[str]() if isinstance(found, Unknown) else frozenset(found)
        return [at for at, device in enumerate(devices) if device.uuid in candidates]
    models = request.gpu_models
    return [at for at, one in enumerate(devices) if one.share >= wanted and (not models or one.model in models)]


def _smallest_after(measure: Fragmentation, free: FreeGpus, fitting: list[int], request: Request) -> float:
    if len(fitting) < request.gpus:
        return measure.of(free)
    if request.gpus == 1 and request.gpu_share < 1.0:
        distinct = {free.devices[at]: at for at in fitting}
        return min(_left_by(measure, free, request, at) for at in distinct.values())
    taken = frozenset(fitting[: request.gpus])
    devices = tuple([device for at, device in enumerate(free.devices) if at not in taken])
    return measure.of(FreeGpus(round(free.cpus - request.cpus, 6), devices))


def _left_by(measure: Fragmentation, free: FreeGpus, request: Request, place: int) -> float:
    return measure.of(FreeGpus(round(free.cpus - request.cpus, 6), without(free.devices, place, request.gpu_share)))


# Which cpus are near a GPU: those of its NUMA node, as far as the node tells both. Pure.


def cpus_near(answer: Measured, uuids: Iterable[str]) -> list[str]:
    """For each device the ids of those cpus as `0-3,8`; empty where they are not known."""
    reading = answer.reading
    if isinstance(reading.cpus, Unknown) or isinstance(reading.gpus, Unknown):
        return ["" for _ in uuids]
    lists = {numa.id: cpulist(numa.cpus) for numa in reading.cpus.numa}
    near = {
        gpu.uuid: "" if isinstance(gpu.numa_node, Unknown) else lists.get(gpu.numa_node, "") for gpu in reading.gpus
    }
    return [near.get(uuid, "") for uuid in uuids]


def cpulist(ids: Iterable[int]) -> str:
    """As the kernel writes them."""
    runs = [[cpu for _, cpu in run] for _, run in groupby(enumerate(sorted(ids)), key=lambda at: at[1] - at[0])]
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
