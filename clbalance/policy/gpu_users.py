"""Who is on a GPU: its processes and the leases on it, and jobs that hold more of its memory than their share. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Gpu, GpuProcess, Lease, Reading, Unknown
from clbalance.policy.leased_use import IDLE_PCT


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUser:
    """A process on a device with the lease of its job, or a lease on it without a process there."""

    process: GpuProcess | None
    lease: Lease | None
    """None: it belongs to no job, or that is not known."""
    holds_device: bool = False
    """Whether the lease includes the device."""


def users_of(reading: Reading) -> Mapping[str, tuple[GpuUser, ...]]:
    """For each device, by UUID: the processes that the driver lists, in its order, then the jobs that only lease it."""
    known = {} if isinstance(reading.leases, Unknown) else {lease.name: lease for lease in reading.leases}
    holders = _holders(known.values())
    gpus = () if isinstance(reading.gpus, Unknown) else reading.gpus
    return {gpu.uuid: tuple(_users_of(gpu, known, holders.get(gpu.uuid, {}))) for gpu in gpus}


def _users_of(gpu: Gpu, known: Mapping[str, Lease], holders: Mapping[str, Lease]) -> Iterator[GpuUser]:
    """`holders`: the leases on the device, by name."""
    used = set()
    for process in () if isinstance(gpu.processes, Unknown) else gpu.processes:
        used.add(process.lease)
        yield GpuUser(process=process, lease=known.get(process.lease), holds_device=process.lease in holders)
    yield from (
        GpuUser(process=None, lease=lease, holds_device=True) for name, lease in holders.items() if name not in used
    )


def _holders(leases: Iterable[Lease]) -> Mapping[str, Mapping[str, Lease]]:
    """For each device, by UUID, the leases on it, by name."""
    holders: dict[str, dict[str, Lease]] = {}
    for lease in leases:
        for uuid in lease.allocation.gpus if isinstance(lease.allocation, Allocation) else ():
            holders.setdefault(uuid, {})[lease.name] = lease
    return holders


def is_strangers(user: GpuUser, reading: Reading) -> bool | None:
    """Whether it is another user's process that belongs to no job; None: its owner, or who has leases, is not known.

    The server of MPS runs the jobs of all users.
    """
    if user.lease is not None or (user.process is not None and user.process.is_mps_server):
        return False
    if user.process is None or user.process.uid is None or isinstance(reading.uid, Unknown):
        return None
    if user.process.uid == reading.uid:
        return False
    return None if isinstance(reading.leases, Unknown) else True


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareExcess:
    """A job's processes hold more of a device's memory than the share that it has leased."""

    lease: Lease
    gpu: Gpu
    mem_bytes: int
    share_bytes: int


def share_excesses(reading: Reading) -> tuple[ShareExcess, ...]:
    """Those on this node. What the driver takes for itself, 5 % of a device, is nobody's excess."""
    leases, gpus = reading.leases, reading.gpus
    if isinstance(leases, Unknown) or isinstance(gpus, Unknown):
        return ()
    holders = _holders(leases)
    return tuple(one for gpu in gpus if gpu.uuid in holders for one in _excesses(gpu, holders[gpu.uuid]))


def _excesses(gpu: Gpu, holders: Mapping[str, Lease]) -> Iterator[ShareExcess]:
    if isinstance(gpu.processes, Unknown) or isinstance(gpu.mem_total_bytes, Unknown):
        return
    held: Counter[str] = Counter()
    for process in gpu.processes:
        if not isinstance(process.mem_bytes, Unknown):
            held[process.lease] += process.mem_bytes
    for name, lease in holders.items():
        share = lease.allocation.gpu_share if isinstance(lease.allocation, Allocation) else 1.0
        if share < 1 and held[name] > (share + IDLE_PCT / 100) * gpu.mem_total_bytes:
            share_bytes = round(share * gpu.mem_total_bytes)
            yield ShareExcess(lease=lease, gpu=gpu, mem_bytes=held[name], share_bytes=share_bytes)
