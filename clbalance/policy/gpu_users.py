"""Who is on a GPU: its processes and the leases on it, and jobs that hold more of its memory than their share. Pure."""

from collections.abc import Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Gpu, GpuProcess, Lease, Measured, Reading, Unknown
from clbalance.policy.placement.gpus import IDLE_PCT


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUser:
    """A process on a device with the lease of its job, or a lease on it without a process there."""

    process: GpuProcess | None
    lease: Lease | None
    """None: it belongs to no job, or that is not known."""
    holds_device: bool = False
    """Whether the lease includes the device."""


def users_of(gpu: Gpu, leases: Sequence[Lease] | Unknown) -> tuple[GpuUser, ...]:
    """The processes that the driver lists, in its order, then the jobs that have leased the device and use it not."""
    known = {} if isinstance(leases, Unknown) else {lease.name: lease for lease in leases}
    holders = [lease for lease in known.values() if includes(lease, gpu)]
    users = []
    for process in () if isinstance(gpu.processes, Unknown) else gpu.processes:
        lease = known.get(process.lease)
        users.append(GpuUser(process=process, lease=lease, holds_device=lease in holders))
    seen = {user.lease.name for user in users if user.lease is not None}
    idle = [lease for lease in holders if lease.name not in seen]
    return (*users, *(GpuUser(process=None, lease=lease, holds_device=True) for lease in idle))


def is_strangers(user: GpuUser, reading: Reading) -> bool | None:
    """Whether it is another user's process that belongs to no job; None: its owner, or who has leases, is not known."""
    if user.lease is not None:
        return False
    if user.process is None or user.process.uid is None or isinstance(reading.uid, Unknown):
        return None
    if user.process.uid == reading.uid:
        return False
    return None if isinstance(reading.leases, Unknown) else True


def includes(lease: Lease, gpu: Gpu) -> bool:
    """Whether the lease is on this device."""
    return isinstance(lease.allocation, Allocation) and gpu.uuid in lease.allocation.gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareExcess:
    """A job's processes hold more of a device's memory than the share that it has leased."""

    lease: Lease
    gpu: Gpu
    mem_bytes: int
    share_bytes: int


def share_excesses(answer: Measured) -> tuple[ShareExcess, ...]:
    """Those on this node. What the driver takes for itself, 5 % of a device, is nobody's excess."""
    leases, gpus = answer.reading.leases, answer.reading.gpus
    if isinstance(leases, Unknown) or isinstance(gpus, Unknown):
        return ()
    found = (_excess(lease, gpu) for gpu in gpus for lease in leases if includes(lease, gpu))
    return tuple(one for one in found if one is not None)


def _excess(lease: Lease, gpu: Gpu) -> ShareExcess | None:
    allocation, total = lease.allocation, gpu.mem_total_bytes
    if isinstance(allocation, Unknown) or allocation.gpu_share >= 1 or isinstance(total, Unknown):
        return None
    mem_bytes, share_bytes = held_bytes(lease, gpu), round(allocation.gpu_share * total)
    if mem_bytes <= share_bytes + IDLE_PCT / 100 * total:
        return None
    return ShareExcess(lease=lease, gpu=gpu, mem_bytes=mem_bytes, share_bytes=share_bytes)


def held_bytes(lease: Lease, gpu: Gpu) -> int:
    """The memory of the device that processes of the job are known to hold."""
    processes = () if isinstance(gpu.processes, Unknown) else gpu.processes
    return sum(one.mem_bytes for one in processes if one.lease == lease.name and not isinstance(one.mem_bytes, Unknown))
