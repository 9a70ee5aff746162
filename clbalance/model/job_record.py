"""What the journal holds of jobs: states, the ends of their copies, and requested migrations. Frozen values."""

from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName, Plan, Qos


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """The job's first process ended by itself."""

    rc: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """A signal ended it."""

    signal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """Its time limit ended it."""

    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemory:
    """It exceeded its memory limit; `used_bytes` None: the kernel's limit killed it."""

    limit_bytes: int
    used_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """We ended it: on request, or because another copy failed to start."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotStarted:
    """It never ran, and left nothing on the node."""

    reason: str
    rc: int | None = None
    """126 or 127, if a shell would exit so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFailed:
    """The node was rebooted, or its folder wiped, and the job is gone."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The node stopped answering: the copy's fate is unknown, and it may still run."""

    cause: Cause
    reason: str


End: TypeAlias = Exited | Killed | TimedOut | OutOfMemory | Cancelled | NotStarted | NodeFailed | Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalUsage:
    """What a copy has used from its start to its end, as the kernel told its supervisor (wait4(2))."""

    user_s: float
    system_s: float
    max_rss_bytes: int
    """The most memory that one of its processes had at a time."""

    @property
    def cpu_s(self) -> float:
        """Cpu seconds of all its processes."""
        return self.user_s + self.system_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one copy ended, `seconds` after its start (0 when it did not start)."""

    node: NodeName
    rank: int
    end: End
    seconds: float
    warnings: tuple[str, ...] = ()
    usage: FinalUsage | None = None
    """None: not known, as after the loss of its supervisor."""


# -- records of the journal -----------------------------------------------------------------------


class JobState(StrEnum):
    """States of a job, in Slurm's words."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMEOUT = "TIMEOUT"
    NODE_FAIL = "NODE_FAIL"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"

    @property
    def is_over(self) -> bool:
        """Whether the job has ended and is not started again by itself."""
        return self not in {JobState.PENDING, JobState.RUNNING}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One job of this submit host, as last written; while it runs its nodes may know more."""

    id: int
    key: str
    name: str
    state: JobState
    reason: str
    """Why it is pending, or why it ended as it did; empty if the state says it all."""
    rc: int | None
    """Exit code of `run` for it; None until it is over."""
    attempt: int
    claim: int
    nodes: tuple[NodeName, ...]
    """Nodes of the current attempt, by rank; empty before the first."""
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    has_controller: bool
    """Whether a living process of this host controls it."""
    qos: Qos | None = None
    """None: the job is older than this column."""
    queued: bool = False
    """It is accepted: while it is PENDING and has no controller, it waits, and `rebalance` starts it."""
    priority: float = 0.0
    waits_since: datetime | None = None
    """Since when it waits for its first start; None once it has started."""
    cancel_requested: str = ""
    """Who asked to cancel it; empty: nobody. It holds until the job is over, and forbids every further start."""
    held: str = ""
    """Who holds it; empty: nobody. A held job is not started until it is released."""
    begin_at: datetime | None = None
    """It is not started before; None: it may start at once."""
    waited_for: str = ""
    """Why it last could not start; still known once it runs."""
    engine: str = ""
    """The batch system that runs it, such as `slurm`; empty: its nodes are chosen here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a running job uses, summed over its copies."""

    cpu_s: float
    """Cpu seconds since its start, including processes that have ended."""
    mem_bytes: int
    """Memory in use now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The launch of one copy, with the boot and the incarnation of its node."""

    node: NodeName
    rank: int
    boot_id: str
    incarnation: str
    folder: str = ""
    """The job's folder on the node; empty: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRecord:
    """A launch and its outcome; `outcome` None: no end is known."""

    attempt: int
    claim: int
    intent: Intent
    outcome: Outcome | None
    limits: tuple[str, ...] = ()
    """How its node enforces its limits, in the node's words; empty if it has none, or the answer was not read."""
    engine_id: str = ""
    """The number of the attempt in the job's batch system; empty: not known, or the job has no batch system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The plan of an attempt: how its nodes were chosen, or why none were. For `explain`."""

    attempt: int
    claim: int
    plan: Plan


# -- migrations (docs/design/rebalance.md) --------------------------------------------------------


class MigrationStage(StrEnum):
    """Phase of a migration. The request is deleted when the launch of the next attempt is recorded."""

    REQUESTED = "asked"
    """The job's controller was asked. The job has noticed nothing."""
    COMMITTED = "meant"
    """From here on the end of the attempt means that the job goes on elsewhere."""
    ABORTED = "off"
    """Given up. The job noticed nothing, or runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRequest:
    """The wish that a job's current attempt ends and the next one starts at `dst`, with the reason."""

    attempt: int
    dst: NodeName
    reason: str
    stage: MigrationStage = MigrationStage.REQUESTED
    abort_reason: str = ""
    """Why it is `ABORTED`."""
    requested_at_s: float = 0.0
    """Seconds since 1970."""
