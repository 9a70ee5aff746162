"""What a run of tasks is given, and how it went."""

from clbalance.engine.question import Question
from clbalance.engine.world import World
from clbalance.job import JobSpec, TaskRules, Tries
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.ports import JobInput, TaskListener
from clbalance.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCourse:
    """What a run of tasks is given."""

    world: World
    question: Question
    job: JobSpec
    """`claim` is that of the first slot."""
    tasks: tuple[Task, ...]
    rules: TaskRules
    tries: Tries
    stdin: JobInput
    listener: TaskListener


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksRan:
    """How it went; which task ended how is in the job's log."""

    plan: Plan
    slots: int
    why: str
    """Those that were not started were not."""
    cancelled: bool = False
    """By somebody, or by the signal that interrupted us."""
    interrupted: int | None = None
    goes_on: bool = False
    """Of some slots no end is known: they do what they have, or have not confirmed that they were ended."""
