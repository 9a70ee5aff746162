"""What a job is, how its copies ended, and what a submit host remembers of it. Frozen values; no input or output."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName, Plan, Qos, Request

# -- what is to run -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A file's content as it was at submit; run by its `#!` line, or by `/bin/sh` without one."""

    name: str
    content: bytes | None
    """None: it lies where the job is remembered, and only who starts the job reads it there."""
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An argv, executed exactly, without a shell."""

    argv: tuple[str, ...]


Work: TypeAlias = Script | Command


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One job, the same on each of its nodes. `umask` as an integer; `time_limit_s` None: without end."""

    id: int
    key: str
    """128 random bits in hexadecimal: the job's name between machines; `id` is this submit host's alias."""
    name: str
    work: Work
    chdir: str
    chdir_explicit: bool
    umask: int
    env: Mapping[str, str] = field(default_factory=dict)
    login: bool = False
    time_limit_s: float | None = None
    grace_s: float = 5.0
    pty: tuple[int, int] | None = None
    """Rows and columns of the terminal that it runs on; it ends with the connection of who has started it."""
    submit_host: str = ""
    submit_dir: str = ""
    attempt: int = 1
    """Which start of the job this is."""
    claim: int = 1
    """Which try to be admitted; its folder on a node is `<key>.<claim>`."""
    previous_nodes: str = ""
    """Where the attempt before ran, folded."""
    user: str | None = None
    """Who logs in on its nodes, for the job and for whoever looks after it; None: as the settings say."""
    slots: bool = False
    """Its copies are slots, several on a node, that run tasks (`task.py`); each has a claim of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How a job is told to save what it has done: by this signal, and so long it may take."""

    signal: int
    grace_s: float = 60.0
    file: str | None = None
    """Written anew, it has; where it works if not absolute. None: it says so by exit code 85 alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """How often a job is started, where it may be moved, and how long it may wait for a place."""

    retry: int = 0
    """So many times more, when it fails."""
    requeue: bool = False
    """When its node has failed: it was started and did not end there, whatever it had done until then."""
    requeue_exits: frozenset[int] = frozenset()
    """When it exits so; 85 means "I have checkpointed, start me again" (HTCondor's convention)."""
    queue_for_s: float | None = None
    """None: nothing fits, nothing runs."""
    after: tuple[int, ...] = ()
    """Not before these jobs have been completed."""
    queue: bool = False
    """Where nothing fits it is queued, and started by `rebalance`."""
    checkpoint: Checkpoint | None = None
    """It may be moved: it is told to checkpoint, and started elsewhere."""

    @property
    def need_a_keeper(self) -> bool:
        """Whether somebody must have the job in hand after its first start, or before it; else the queue has it."""
        again = self.retry or self.requeue or self.requeue_exits or self.queue_for_s or self.after
        return bool(again) and not self.queue


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRules:
    """What a job of tasks may do."""

    at_once: int | None = None
    """So many at most."""
    max_fail: float | None = None
    """No more are given out when more than so many have failed, or so many per cent of all."""
    max_fail_is_pct: bool = False


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

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotStarted:
    """It never ran there; the node is as it was."""

    why: str
    rc: int | None = None
    """126 or 127, where a shell would have said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFailed:
    """The node was booted again, or its folder wiped, and the job with it."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The node stopped answering: what became of it is unknown, and it may still run."""

    cause: Cause
    why: str


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
    controlled: bool
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
    birth: str


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
class Submitted:
    """What a job was asked to be, to start it again by."""

    job: JobSpec
    request: Request
    candidates: tuple[NodeName, ...]
    tries: Tries = Tries()
    stdin_path: str | None = None
    rules: TaskRules | None = None
    """Of a job of tasks; None of any other."""
    notify: str | None = None
    """A command to run here when it is over."""
    group: str | None = None
    """The group that was named, where nothing else was: its policy is the job's."""
    policy: str | None = None
    """As typed."""
    priority: float = 0.0
    """Among those that are queued; more is sooner."""
    output: str | None = None
    """The absolute pattern of the file for its standard output; None: no file was named."""
    error: str | None = None
    """The same for its standard error; None with `output` given: errors go to the same file, as with `sbatch`."""

    @property
    def has_files(self) -> bool:
        """Whether any of its output goes to a file."""
        return self.output is not None or self.error is not None


class OutputState(StrEnum):
    """How far the output files of an attempt are written."""

    PENDING = "pending"
    """The nodes still have output that the files lack, or the job has not ended."""
    COMPLETE = "complete"
    LOST = "lost"
    """They will never be complete: the nodes do not have the output any more, or the file cannot be rewritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRecord:
    """The output files of one attempt. `reason`: why they are not complete, as far as that was found out."""

    job: int
    attempt: int
    state: OutputState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """How the nodes of an attempt were chosen, or why none were, for `explain`."""

    attempt: int
    claim: int
    plan: Plan
