"""One run of a playbook: what became of each step of each node. Frozen values of `engine/play/`, kept by `store/`.

A step is recorded when it begins and again when it ends. If the record has a begin without an end and the process that
began it is gone, the step is *uncertain*: it may have run.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName

MOST_OUTPUT_BYTES = 64 << 10
"""Of each stream of a step's output: more is cut off in the middle of the run, never parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a program of a step returned. `out` and `err` are text of a node: data, bounded, never trusted."""

    rc: int
    out: str = ""
    err: str = ""


class StepState(StrEnum):
    """How a step of a node ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Its `when` was not true."""
    UNKNOWN = "unknown"
    """It was begun, and the node does not say how it ended (the connection was lost, or a health check cannot tell)."""
    LEFT_OUT = "left_out"
    """A drain's deadline has passed with `on_deadline: skip`: the node's turn ends here, without failure."""
    REFUSED = "refused"
    """A drain that `min_available` does not allow now. Nothing has changed; it is tried again later, and it does not
    count as an attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """The end of one attempt at a step."""

    state: StepState
    reason: str = ""
    result: Result | None = None
    changed: bool = True
    """False: it found nothing to do."""


class StepList(StrEnum):
    """Which list of the playbook a step is in."""

    STEPS = "steps"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One attempt at one step of one node. `ended` None: begun, and its end is not known."""

    node: NodeName
    steps: StepList
    index: int
    attempt: int
    """From 1; counts the repetitions of `retries`."""
    begun_at: datetime
    ended: StepEnded | None = None
    ended_at: datetime | None = None


class NodeState(StrEnum):
    """What became of one node in a run."""

    NOT_STARTED = "notstarted"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    """A step that is not `idempotent` may have run; somebody must look."""
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProgress:
    """One node of a run: its state, and all attempts at its steps, in order."""

    node: NodeName
    state: NodeState = NodeState.NOT_STARTED
    reason: str = ""
    rolled_back: bool = False
    records: tuple[StepRecord, ...] = ()


class RunState(StrEnum):
    """What became of a run."""

    RUNNING = "running"
    COMPLETED = "completed"
    """Each node is done."""
    STOPPED = "stopped"
    """By its own rules: too many failures, a failed canary, a minimum that cannot be held."""
    PAUSED = "paused"
    """By `stop_after`, a pause, or an inconclusive canary: `play --continue` goes on."""
    INTERRUPTED = "interrupted"
    """By a signal, or its process is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayRun:
    """The record of one run. `number` counts on this submit host, as job numbers do."""

    number: int
    playbook: str
    """Its name."""
    file: str
    """Its absolute path, or the name of one that ships: what tells two playbooks apart."""
    text: str
    text_hash: str
    typed: Mapping[str, str] = field(default_factory=dict)
    """Variables of `-e`."""
    by: str = ""
    submit_host: str = ""
    started_at: datetime
    ended_at: datetime | None = None
    state: RunState = RunState.RUNNING
    reason: str = ""
    nodes: tuple[NodeName, ...] = ()
    """In the order of their turns."""
    pool: tuple[NodeName, ...] = ()
    pid: int | None = None
    """Of the process that has it; None: it has ended."""
    since: datetime | None = None
    """When that process, or the last one, began or continued it."""
    continued: int = 0
    """How often it was continued."""
    rolls_back: int | None = None
    """The run whose nodes this one rolls back, by the `rollback` of the playbook; None: it carries out its steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaySummary:
    """A run in a list: without its text and nodes, but with the number of nodes in each state."""

    run: PlayRun
    counts: Mapping[NodeState, int] = field(default_factory=dict)


# -- what is written down while it runs ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeChanged:
    """A node's state has changed."""

    node: NodeName
    state: NodeState
    reason: str = ""
    rolled_back: bool = False


PlayEvent: TypeAlias = StepRecord | NodeChanged
"""`StepRecord` twice for each attempt: without and with its end."""
