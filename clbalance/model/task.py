"""Tasks of a task job, their events and their records. Frozen values; no input or output."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_record import End, JobState

MOST_TASKS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task; `words` are appended to the job's argv. The task reads its number from `CLBALANCE_TASK_ID`."""

    number: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGiven:
    """A slot was told to run it. From now on only the slot's node knows whether it was started."""

    number: int
    node: NodeName
    claim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    """How it ended, `seconds` after its start. The last event counts, for the task may have been given out again."""

    number: int
    node: NodeName
    claim: int
    end: End
    seconds: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReturned:
    """A slot gave it back without starting it."""

    number: int
    claim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequeued:
    """It has failed, and its job was requeued: it is to be run again."""

    number: int


TaskEvent: TypeAlias = TaskGiven | TaskEnded | TaskReturned | TaskRequeued


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """What is known of one task. `node` None: never given to a node. `end` None: not ended yet."""

    task: Task
    node: NodeName | None = None
    claim: int = 0
    end: End | None = None
    seconds: float = 0.0
    at: datetime | None = None
    """When it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSummary:
    """How many tasks of a job are in each state, for the states that occur.

    PENDING: not started. RUNNING: a slot has it, and its end is not known.
    """

    total: int
    by_state: Mapping[JobState, int]

    def count(self, state: JobState) -> int:
        """How many tasks are in that state."""
        return self.by_state.get(state, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProgress:
    """How far a task job has come."""

    total: int
    running: int
    done: int
    failed: int
    """Failed ones among `done`."""
    left_s: float | None
    """Estimated seconds until all are done; None: not known yet."""
    awaited: tuple[NodeName, ...] = ()
    """The nodes that are waited for."""
