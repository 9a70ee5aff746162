"""Which share of a node is taken with one more job on it: Kubernetes' `LeastAllocated` and `MostAllocated`."""

from clbalance.model import Request
from clbalance.policy.effective import Load
from clbalance.policy.room import cpus_left, mem_bytes_left


def taken_pct(load: Load, request: Request) -> float:
    """The mean over cpus, memory and, where they are asked for, GPUs, promises and strangers' use together."""
    total_bytes = load.memory.total_bytes
    shares = [
        1.0 - (cpus_left(load) - request.cpus) / load.cpus,
        1.0 - (mem_bytes_left(load) - request.mem_bytes) / total_bytes,
    ]
    devices = load.devices
    if request.gpus and isinstance(devices, tuple) and devices:
        left = sum([device.share for device in devices]) - request.gpus * request.gpu_share
        shares.append(1.0 - left / len(devices))
    return 100.0 * sum(shares) / len(shares)
