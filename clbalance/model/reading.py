"""One node's reading: load, hardware, leases and drain marks; a part that could not be read is `Unknown`."""

from dataclasses import field
from datetime import datetime
from typing import NewType

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A quantity that could not be measured, with the reason."""

    reason: str


# -- leases and drain marks ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The resources that a lease holds; `uptime_s` is the node's uptime when it was granted."""

    cpus: float = 0.0
    mem_bytes: int = 0
    gpus: tuple[str, ...] = ()
    """UUIDs of the devices."""
    gpu_share: float = 1.0
    """Share of each device."""
    slots: int = 0
    exclusive: bool = False
    uptime_s: float = 0.0
    name: str = ""
    tmp_bytes: int = 0
    """Space in the temporary folder, held as long as the lease."""
    limit_cpus: float | None = None
    """Cpu limit; None: whatever is free."""
    limit_mem_bytes: int | None = None
    cpu_ids: tuple[int, ...] = ()
    """Ids of the cpus that the job is bound to; empty: not bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A valid lease on a node, of the job `key` of user `uid`."""

    key: str
    attempt: int
    uid: int
    allocation: Allocation | Unknown
    """Unknown: it cannot be read; it then counts as a lease of the whole node."""

    @property
    def name(self) -> str:
        """Its name on the node, with its owner: anybody can give a file the name of another user's lease."""
        return f"{self.uid}/{self.key}.{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Order among concurrent drains, the same for everyone who reads it."""

    at: datetime
    """When the drain was requested, by the clock of the requesting host."""
    key: str
    """128 random bits in hexadecimal."""

    def came_before(self, other: "Proposal") -> bool:
        """Whether this one is earlier; at equal times the smaller key is."""
        return (self.at, self.key) < (other.at, other.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainMark:
    """User `uid` keeps new work off the node: everyone's if `binds_all`, else only the user's own.

    `by` and `reason` are that user's words. A mark that cannot be read counts too, with the reason "unreadable".
    """

    uid: int
    by: str
    reason: str
    at: datetime | None
    until: datetime | None
    """The mark ends then, by the node's clock; None: it stays until it is removed."""
    binds_all: bool
    proposal: Proposal | None = None
    """Set while the drain may still be withdrawn; until then the mark counts like any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLimits:
    """The limits that root has set on the node for users and groups, and who our user is there."""

    text: str
    """As in the file (docs/design/fair-share.md)."""
    users: frozenset[str]
    """Our name and our uid."""
    groups: frozenset[str]
    """Our groups, by name and by number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQueue:
    """`/proc/loadavg`: run queue averages by LSF's names, and `rq`, the tasks that are runnable at this instant."""

    r1m: float
    r5m: float
    r15m: float
    rq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NumaNode:
    """A NUMA node: its number and its cpu ids."""

    id: int
    cpus: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpus:
    """Number of online cpus, their model, and their NUMA nodes; `numa` is empty if the node does not tell."""

    online: int
    model: str
    numa: tuple[NumaNode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTicks:
    """Counters of `/proc/stat` since boot, all cpus together; cpu use is the difference of two readings."""

    busy: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """`/proc/meminfo`; available is the kernel's estimate of the memory that a new program may have."""

    total_bytes: int
    available_bytes: int
    swap_total_bytes: int | Unknown
    swap_free_bytes: int | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """PSI `some avg10`: per cent of the last ten seconds in which some task waited."""

    cpu_pct: float | Unknown
    mem_pct: float | Unknown
    io_pct: float | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class TmpSpace:
    """The file system of the temporary folder."""

    path: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFolder:
    """The folder in which the node's agent would keep a job: the node folder."""

    path: str
    is_open: bool
    """Whether it is a folder that we may list."""
    is_writable: bool
    """Whether we can write to it, or to a folder of ours that is in it."""
    free_bytes: int | None
    """For our user there; None: not told."""
    free_inodes: int | None
    """How many more files it has room for; None: not told, or no fixed number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bytes since boot, each counted once: read and written by disks, or received and sent by interfaces."""

    in_bytes: int
    """Read or received."""
    out_bytes: int
    """Written or sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that holds memory on a GPU, whoever started it."""

    pid: int
    name: str
    """The program, in the driver's words."""
    mem_bytes: int | Unknown
    uid: int | None = None
    """Whose it is; None: not asked for, the node does not show it, or it has ended."""
    lease: str = ""
    """The name of its job's lease; empty: it belongs to no job, or `uid` is not known either."""

    @property
    def is_mps_server(self) -> bool:
        """Whether it is NVIDIA's server for processes that share a device. It stays when those are gone."""
        return self.name.endswith("nvidia-cuda-mps-server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One device as its driver reports it; `use_pct` is unknown for MIG parents and some drivers."""

    uuid: str
    """A device that does not tell its own has a made-up one, and a fault."""
    index: int
    model: str
    mem_total_bytes: int | Unknown
    """Unknown on devices that share the host's memory, and on some faulty ones."""
    mem_used_bytes: int | Unknown
    use_pct: float | Unknown
    temperature_c: float | Unknown
    driver_version: str
    processes: tuple[GpuProcess, ...] | Unknown = ()
    bus_id: str = ""
    """PCI address; empty if not told."""
    cuda_version: str = ""
    """The newest CUDA (or ROCm) version that the driver supports, such as "12.4"; empty if not told."""
    numa_node: int | Unknown = field(default_factory=lambda: Unknown(reason="not told"))
    """The NUMA node that the device is attached to."""
    parent: str = ""
    """UUID of the device of which this is a MIG part; empty: a whole device."""
    fault: str = ""
    """Why it is unfit for work, such as "Xid 79: GPU has fallen off the bus"; empty: no fault is known."""
    unseen: tuple[str, ...] = ()
    """Parts of its health that could not be read, and why."""

    @property
    def mem_used_pct(self) -> float | Unknown:
        """The used share of its memory."""
        total, used = self.mem_total_bytes, self.mem_used_bytes
        if isinstance(total, Unknown):
            return total
        if isinstance(used, Unknown):
            return used
        return 100.0 * used / total if total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The results of one probe of one node; each section is known or unknown by itself."""

    boot_id: str | Unknown
    uptime_s: float | Unknown
    run_queue: RunQueue | Unknown
    cpus: Cpus | Unknown
    cpu_ticks: CpuTicks | Unknown
    memory: Memory | Unknown
    pressure: Pressure | Unknown
    tmp: TmpSpace | Unknown
    disk: Traffic | Unknown
    net: Traffic | Unknown
    logins: int | Unknown
    python: str | Unknown
    """Path of `python3` on the node's PATH; jobs need it, probes do not. Unknown also if it cannot be of use."""
    gpus: tuple[Gpu, ...] | Unknown
    """Empty if the node has no GPU tool; unknown if its tool hung or failed, and no other vendor's tool has devices."""
    uid: int | Unknown
    """Uid of the user that the probe ran as."""
    leases: tuple[Lease, ...] | Unknown
    """Valid leases of all users; leases that no process holds any more are left out."""
    drains: tuple[DrainMark, ...] | Unknown
    """Drain marks of all users that had not ended, by the node's own clock."""
    gpu_mps: bool | Unknown = False
    """Whether NVIDIA's MPS runs, by which processes share devices within limits."""
    job_folder: JobFolder | Unknown = field(default_factory=lambda: Unknown(reason="not told"))
    may_drain_for_all: bool | Unknown = field(default_factory=lambda: Unknown(reason="not told"))
    """Whether our user's drain marks bind everybody: root, or on the node's list of administrators. Told only where
    there are drain marks."""
    limits: NodeLimits | Unknown | None = None
    """None: root has set none."""
    gpus_missing: tuple[str, ...] = ()
    """Why devices of one vendor are not in `gpus`: its tool failed, and there are devices of another, or finds none."""

    @property
    def has_gpus(self) -> bool:
        """Whether it has any, or may have."""
        return self.gpus != () or self.gpus_missing != ()


NodeName = NewType("NodeName", str)
"""A name that has passed the allow-list of `nodeset.py`."""
