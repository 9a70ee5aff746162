"""Which cpus are near a GPU: those of its NUMA node, as far as the node tells both. Pure."""

from collections.abc import Iterable
from itertools import groupby

from clbalance.model import Measured, Unknown


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
