"""The frozen values that travel along the arrow: reading → snapshot → score → plan → outcome.

Units are in the names. What could not be measured is `Unknown(why)`, and a node that did not answer is
`Silent(cause, why)`: neither is ever a zero. Nothing here does input or output.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import NewType, TypeAlias

from clbalance.constraints import UNCONSTRAINED, Constraints
from clbalance.lazy_dataclass import dataclass

NodeName = NewType("NodeName", str)
"""A name that has passed the allow-list of `nodes.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A quantity that was asked for and not learned."""

    why: str


# -- what a probe reads ---------------------------------------------------------------------------


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
class Promise:
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
    promise: Promise | Unknown
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


# -- snapshot -------------------------------------------------------------------------------------


class Cause(StrEnum):
    """Why a node is silent. Told apart as far as ssh's words allow."""

    DNS = "name not resolved"
    UNREACHABLE = "unreachable"
    REFUSED = "connection refused"
    HUNG = "hung"
    TIMEOUT = "timed out"
    THROTTLED = "throttled"
    PENALISED = "penalised"
    HOSTKEY_CHANGED = "host key changed"
    HOSTKEY_UNKNOWN = "host key unknown"
    AUTH = "authentication failed"
    LIMITS = "too many logins"
    MUX = "connection sharing failed"
    STORAGE = "node storage"
    NO_SHELL = "no shell"
    GARBLED = "garbled answer"
    LOST = "connection lost"
    LOCAL = "local failure"

    def because(self, why: str) -> str:
        """The cause with its reason in one phrase, without saying the same twice."""
        return why if self.value in why.casefold() else f"{self}: {why}" if why else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Differences between two readings of the same boot, over `span_s` seconds."""

    span_s: float
    ut_pct: float
    disk_bytes_per_s: float | Unknown
    net_bytes_per_s: float | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One index of a node over the looks before this one, in the index's own unit; `count` is at least 1."""

    count: int
    mean: float
    deviation: float
    """Standard deviation of those looks, not of a population behind them."""
    least: float
    most: float
    span_s: float
    """From the oldest look to the newest; all since the node was booted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A node that answered."""

    node: NodeName
    reading: Reading
    rates: Rates | Unknown
    rtt_s: float
    """From asking to the end of the answer, connection included."""
    placed: tuple[Promise, ...] = ()
    """What was placed on it since it answered: neither its load nor its leases show that."""
    cpu_factor: float = 1.0
    """How fast one cpu of this node is against the cluster's plain one (LSF's CPU factor)."""
    slots: int | None = None
    """How many slots somebody gave it; None: they are not counted."""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What the settings say of it, such as `rack` = "r1"."""
    taints: frozenset[str] = frozenset()
    """What the settings say speaks against it, for whoever does not tolerate that."""
    trends: Mapping[str, Trend] = field(default_factory=dict, hash=False)
    """By the names of `policy/samples.py`; what was never looked at before is not among them."""
    suspect: str = ""
    """Why it is not trusted yet, though it answers; empty: it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A node whose load is unknown, and why."""

    node: NodeName
    cause: Cause
    why: str
    suspect: str = ""
    """How often in a row it has not answered, where that makes it suspect."""


Answer: TypeAlias = Measured | Silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The answers of one sweep, in the order in which the nodes were named."""

    taken_at: datetime
    answers: tuple[Answer, ...]
    last_used: NodeName | None = None
    """Where the last request went that was placed on it."""


# -- placement ------------------------------------------------------------------------------------


class Qos(StrEnum):
    """How firmly a job is promised what it uses: Kubernetes' classes and words."""

    GUARANTEED = "Guaranteed"
    """Cpus and memory are asked for, and limited to just that."""
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"
    """No cpus and no memory are asked for, and none limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be placed: `pick` copies (None: on every node that fits), each taking what is asked for here."""

    pick: int | None = 1
    cpus: float = 1.0
    mem_bytes: int = 0
    tmp_bytes: int = 0
    """Free in the temporary folder."""
    gpus: int = 0
    gpu_share: float = 1.0
    """Below 1: a part of one device, and `gpus` is 1."""
    gpu_mem_bytes: int = 0
    """Free on each device."""
    gpu_models: frozenset[str] = frozenset()
    """Exact names, one of which each device has; empty: any."""
    slots: int = 1
    exclusive: bool = False
    """No lease beside it."""
    needs_python: bool = False
    limit_cpus: float | None = None
    """What each copy may use at most, never less than it asks for; None: whatever is free."""
    limit_mem_bytes: int | None = None
    excluded: frozenset[NodeName] = frozenset()
    """Not to be used whatever they measure: named by `-x`, or they have just refused."""
    name: str = ""
    """Of the job, by which others ask to be near it or apart from it."""
    constraints: Constraints = UNCONSTRAINED


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """A node that may not be used: which filter said so, and why. `reason` also groups the histogram."""

    node: NodeName
    filter: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One scorer's part: `points` 0…100 (higher is better) times `weight`; `told` is what it was read from."""

    name: str
    points: float
    weight: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A ranked node: the weighted mean of its terms, 0…100."""

    node: NodeName
    total: float
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `place` decided: the chosen nodes, everyone's score or reason, and the snapshot as charged."""

    wanted: int | None
    chosen: tuple[NodeName, ...]
    ranked: Sequence[Score]
    unfit: Sequence[Unfit]
    charged: Snapshot
    runner_up: NodeName | None = None
    """Who would have been next."""

    @property
    def fits(self) -> bool:
        """Whether as many nodes were chosen as were asked for; every one that fits is at least one."""
        return len(self.chosen) >= (1 if self.wanted is None else self.wanted)
