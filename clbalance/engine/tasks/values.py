"""The inputs of a run of tasks, and how it went."""

from collections.abc import Callable

from clbalance.engine.services import PlacementQuery, Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.model.job import JobSpec, RestartPolicy, TaskRules
from clbalance.model.task import Task
from clbalance.ports import JobInput, TaskListener


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRunContext:
    """The inputs of a run of tasks."""

    services: Services
    query: PlacementQuery
    job: JobSpec
    """`claim` is that of the first slot."""
    tasks: tuple[Task, ...]
    rules: TaskRules
    restart_policy: RestartPolicy
    stdin: JobInput
    listener: TaskListener
    queued: bool = False
    """It was accepted, and returns to the queue while tasks are left that were not started."""
    accepted: bool = False
    """By a detached controller: the job waits for room as long as it takes, or as its `--queue-for` allows."""
    is_wanted: Callable[[int], bool] = lambda _: True
    """Asked before a task is given to a slot, each time. False: it is over without having run."""
    is_unseen: bool = False
    """Its output is neither shown nor written to files: the nodes keep it, for `logs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRunResult:
    """The result of a run of tasks. The end of each task is in the job's task log."""

    plan: Plan
    slots: int
    reason: str
    """Why tasks were not started; empty if all were."""
    cancelled: bool = False
    """By `cancel`, or by the signal that interrupted us."""
    interrupted: int | None = None
    left_running: bool = False
    """Some slots have no known end: they finish the tasks that they have, or have not confirmed their end."""
