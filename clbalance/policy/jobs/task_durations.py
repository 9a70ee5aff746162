"""How long tasks will take, by what they took in an earlier job, and the order that follows from it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from clbalance.model.task import Task, TaskRecord
from clbalance.policy.jobs.task_records import is_done

ALIKE_S = 0.05
"""Tasks whose durations differ by less than this count as equally long, and stay in the order of their numbers."""

_Work: TypeAlias = tuple[str, ...] | int


def expected_durations(tasks: Sequence[Task], earlier: Iterable[TaskRecord]) -> dict[int, float]:
    """Seconds by the number of each task, as it took in an earlier job of the same command; empty if none is known.

    A task that is new counts as the mean of the others. One that failed is new: it may have ended early.
    """
    took = {_work(one.task): one.seconds for one in earlier if is_done(one)}
    known = {task.number: took[_work(task)] for task in tasks if _work(task) in took}
    if not known:
        return {}
    mean = sum(known.values()) / len(known)
    return {task.number: known.get(task.number, mean) for task in tasks}


def turn_of(number: int, durations: Mapping[int, float]) -> tuple[int, int]:
    """By this key tasks are given out: the longest first, else by number.

    A long task that is started last runs alone while all other slots are idle (LPT rule: Graham, 1969).
    """
    return -int(durations.get(number, 0.0) / ALIKE_S), number


def _work(task: Task) -> _Work:
    """What tells it from the others of its job: its words, or in an array its number."""
    return task.words or task.number
