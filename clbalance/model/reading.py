"""What one probe measured of one node, with its leases and drain marks; what could not be measured is `Unknown`."""

from dataclasses import field
from datetime import datetime
from typing import NewType

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A quantity that was asked for and not learned."""

    reason: str


# What people have put on nodes: leases, which hold a share of one, and marks that drain it.


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What a lease takes of its node; `uptime_s` is the node's uptime when it was granted."""

    cpus: float = 0.0
    mem_bytes: int = 0
    gpus: tuple[str, ...] = ()
    """UUIDs."""
    gpu_share: float = 1.0
    """Of each of them."""
    slots: int = 0
    exclusive: bool = False
    uptime_s: float = 0.0
    name: str = ""
    tmp_bytes: int = 0
    """In the temporary folder, for as long as it is held."""
    limit_cpus: float | None = None
    """What it may use at most; None: whatever is free."""
    limit_mem_bytes: int | None = None
    cpu_ids: tuple[int, ...] = ()
    """The cpus that it is bound to; empty: to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A promise that is held on a node at this moment, for the job `key`, by the user `uid`."""

    key: str
    attempt: int
    uid: int
    allocation: Allocation | Unknown
    """Unknown: it cannot be read, and then counts as a lease of the whole node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Whose drain came first, where several are asked for at once: an order that everyone sees alike."""

    at: datetime
    """When it was asked for, by the clock of who did."""
    key: str
    """128 random bits in hexadecimal."""

    def came_before(self, other: "Proposal") -> bool:
        """The earlier wins; of the same moment the smaller key."""
        return (self.at, self.key) < (other.at, other.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainMark:
    """No new work, says the user `uid`: for everyone where `binds_all`, else for himself.

    `by` and `reason` are his words. One that cannot be read counts, as "unreadable".
    """

    uid: int
    by: str
    reason: str
    at: datetime | None
    until: datetime | None
    """Void from then on; None: until it is taken away."""
    binds_all: bool
    proposal: Proposal | None = None
    """It may still be withdrawn; until then it counts like any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueue:
    """`/proc/loadavg`: run queue averages as LSF names them, and `rq`, what is runnable at this instant."""

    r1m: float
    r5m: float
    r15m: float
    rq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NumaNode:
    """One memory domain and the cpu ids in it."""

    id: int
    cpus: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpus:
    """How many cpus are online, what they are, and how they lie; `numa` is empty where it is not told."""

    online: int
    model: str
    numa: tuple[NumaNode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTicks:
    """Counters of `/proc/stat` since boot, all cpus together; use is a difference of two of these."""

    busy: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """`/proc/meminfo`; available is the kernel's own estimate of what a new program may have."""

    total_bytes: int
    available_bytes: int
    swap_total_bytes: int
    swap_free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """PSI `some avg10` per cent: share of the last ten seconds in which something waited."""

    cpu_pct: float
    mem_pct: float
    io_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TmpSpace:
    """The file system of the temporary folder."""

    path: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bytes since boot over all real disks and all interfaces but loopback."""

    disk_read_bytes: int
    disk_written_bytes: int
    net_received_bytes: int
    net_sent_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that holds memory on a GPU, whoever started it."""

    pid: int
    name: str
    mem_bytes: int | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One device as its driver reports it; `use_pct` is unknown for MIG parents and some drivers."""

    uuid: str
    index: int
    model: str
    mem_total_bytes: int
    mem_used_bytes: int
    use_pct: float | Unknown
    temperature_c: float | Unknown
    driver_version: str
    processes: tuple[GpuProcess, ...] = ()
    cuda_version: str = ""
    """The newest CUDA (or ROCm) that the driver runs, such as "12.4"; empty where it is not told."""
    numa_node: int | Unknown = field(default_factory=lambda: Unknown(reason="not told"))
    """The memory domain that the device hangs on."""
    parent: str = ""
    """UUID of the whole device of which this is a part (MIG); empty: it is whole."""
    fault: str = ""
    """Why it is unfit for work, such as "Xid 79: GPU has fallen off the bus"; empty: nothing speaks against it."""
    unseen: tuple[str, ...] = ()
    """What of its health could not be looked at, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Everything one probe learned of one node; each section stands or falls alone."""

    boot_id: str | Unknown
    uptime_s: float | Unknown
    run_queue: RunQueue | Unknown
    cpus: Cpus | Unknown
    cpu_ticks: CpuTicks | Unknown
    memory: Memory | Unknown
    pressure: Pressure | Unknown
    tmp: TmpSpace | Unknown
    traffic: Traffic | Unknown
    logins: int | Unknown
    python: str | Unknown
    """Path of `python3` on the node's PATH: jobs need it, probes do not."""
    gpus: tuple[Gpu, ...] | Unknown
    """Empty where the node has no GPU tool; unknown where it has one that hung or failed."""
    uid: int | Unknown
    """Of the user whom the probe ran as."""
    leases: tuple[Lease, ...] | Unknown
    """Everybody's. Those that nobody holds any more are void, and not among them."""
    drains: tuple[DrainMark, ...] | Unknown
    """Everybody's, expired ones included."""


NodeName = NewType("NodeName", str)
"""A name that has passed the allow-list of `nodeset.py`."""
