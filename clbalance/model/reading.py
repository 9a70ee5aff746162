"""What one probe measured of one node."""

from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model.claims import DrainMark, Lease
from clbalance.model.unknown import Unknown


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
    numa_node: int | Unknown = field(default_factory=lambda: Unknown(why="not told"))
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
