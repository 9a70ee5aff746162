"""Many small jobs in one: tasks, what they may do, and what became of them. Frozen values; no input or output."""

from datetime import datetime
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_record import End

MOST_TASKS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One of them; `words` come behind the job's own argv. It finds its number in `CLBALANCE_TASK_ID`."""

    number: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGiven:
    """A slot is told to run it: from here on only the slot's node knows whether it was started."""

    number: int
    node: NodeName
    claim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded:
    """How it ended, `seconds` after its start; the last word counts, for it may have been given again."""

    number: int
    node: NodeName
    claim: int
    end: End
    seconds: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReturned:
    """A slot has given it back: it was not started there."""

    number: int
    claim: int


TaskEvent: TypeAlias = TaskGiven | TaskEnded | TaskReturned


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """What is known of one task; `node` None: it was never given to one. `end` None: it has not ended, so far."""

    task: Task
    node: NodeName | None = None
    claim: int = 0
    end: End | None = None
    seconds: float = 0.0
    at: datetime | None = None
    """When it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProgress:
    """How far a job of tasks has come."""

    total: int
    running: int
    done: int
    failed: int
    """Of those that are done."""
    left_s: float | None
    """Until all are done, as it looks now; None while that cannot be told."""
