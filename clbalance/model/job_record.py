"""How jobs stand, how their copies ended, and orders to move them, as they are remembered. Frozen values."""

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
    """It took more memory than its limit allows; `used_bytes` None: the kernel ended it there."""

    limit_bytes: int
    used_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """We ended it: somebody told us to, or another copy failed to start."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotStarted:
    """It never ran there; the node is as it was."""

    reason: str
    rc: int | None = None
    """126 or 127, where a shell would have said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFailed:
    """The node was booted again, or its folder wiped, and the job with it."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The node stopped answering: what became of it is unknown, and it may still run."""

    cause: Cause
    reason: str


End: TypeAlias = Exited | Killed | TimedOut | OutOfMemory | Cancelled | NotStarted | NodeFailed | Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one copy ended, `seconds` after its start (0 when it did not start)."""

    node: NodeName
    rank: int
    end: End
    seconds: float
    warnings: tuple[str, ...] = ()


# -- what is remembered of it ---------------------------------------------------------------------


class JobState(StrEnum):
    """Slurm's words."""

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
        """Whether nothing more will happen to the job by itself."""
        return self not in {JobState.PENDING, JobState.RUNNING}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One job of this submit host, as last known; its nodes know better while it runs."""

    id: int
    key: str
    name: str
    state: JobState
    reason: str
    """Why it is pending, or why it ended so; empty where there is nothing to say."""
    rc: int | None
    """What `run` exits with for it; None while it is not over."""
    attempt: int
    claim: int
    nodes: tuple[NodeName, ...]
    """Of the current attempt, in the order of their ranks; empty before its first."""
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    has_controller: bool
    """Whether a living process of this host has it in hand."""
    qos: Qos | None = None
    """None: it was submitted before that was written down."""
    queued: bool = False
    """Where it is PENDING and nobody has it in hand, `rebalance` starts it."""
    priority: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a running job takes, all its copies together."""

    cpu_s: float
    """Since its start, its ended processes included."""
    mem_bytes: int
    """At this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """That one copy is going to be started, and on which boot and birth of its node."""

    node: NodeName
    rank: int
    boot_id: str
    incarnation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRecord:
    """An intent and what became of it; `outcome` None: no end is known."""

    attempt: int
    claim: int
    intent: Intent
    outcome: Outcome | None
    limits: tuple[str, ...] = ()
    """How its node keeps its limits, in its node's words; empty where it has none, or nobody heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """How the nodes of an attempt were chosen, or why none were, for `explain`."""

    attempt: int
    claim: int
    plan: Plan


# A job that is to go on elsewhere: what is asked, and how far it has come (docs/design/rebalance.md). Values.


class MigrationStage(StrEnum):
    """How far a move has come; when the next attempt is intended there is no trace of it left."""

    REQUESTED = "asked"
    """Of who has the job in hand. Nothing has reached the job."""
    COMMITTED = "meant"
    """From here on the end of the attempt means that the job goes on elsewhere."""
    ABORTED = "off"
    """It came to nothing, and the job has noticed nothing or runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRequest:
    """That the current attempt of a job is to go on at `dst`, and why."""

    attempt: int
    dst: NodeName
    reason: str
    stage: MigrationStage = MigrationStage.REQUESTED
    abort_reason: str = ""
    """Why it is `ABORTED`."""
    requested_at_s: float = 0.0
    """Seconds since 1970."""
