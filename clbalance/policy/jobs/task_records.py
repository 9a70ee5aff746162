"""From a log of tasks to what is known of each, and how many tasks a slot is given at once. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import assert_never

from clbalance.errors import ExitCode
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import TaskRules
from clbalance.model.job_record import Exited, JobState, Lost, NotStarted, Outcome
from clbalance.model.task import Task, TaskEnded, TaskEvent, TaskGiven, TaskRecord, TaskReturned
from clbalance.policy.jobs.outcome import code_of, state_of, worst_outcome


def task_records(tasks: Iterable[Task], events: Iterable[TaskEvent]) -> tuple[TaskRecord, ...]:
    """Each task as the last word has it, in the order of `tasks`; what the log tells of others is passed over."""
    records = {task.number: TaskRecord(task=task) for task in tasks}
    for event in events:
        known = records.get(event.number)
        if known is not None:
            records[event.number] = _after(known, event)
    return tuple(records.values())


def _after(known: TaskRecord, event: TaskEvent) -> TaskRecord:
    match event:
        case TaskGiven():
            return TaskRecord(task=known.task, node=event.node, claim=event.claim)
        case TaskReturned():
            return TaskRecord(task=known.task) if known.claim == event.claim and known.end is None else known
        case TaskEnded():
            ended = replace(
                known, node=event.node, claim=event.claim, end=event.end, seconds=event.seconds, at=event.at
            )
            return known if _is_elsewhere(known, event) or _is_known_better(known, event) else ended
        case _:
            assert_never(event)


def _is_elsewhere(known: TaskRecord, event: TaskEnded) -> bool:
    """Another slot has it since: two processes may settle a slot at once, and the slower one comes too late."""
    return known.node is not None and known.claim != event.claim


def _is_known_better(known: TaskRecord, event: TaskEnded) -> bool:
    """That a node is silent is no end, and does not replace one."""
    return isinstance(event.end, Lost) and known.end is not None


def is_open(record: TaskRecord) -> bool:
    """Whether a slot has it, and its end is not known."""
    return state_of_task(record) is JobState.RUNNING


def is_done(record: TaskRecord) -> bool:
    """Whether it need not be run again."""
    return record.end == Exited(rc=0)


def state_of_task(record: TaskRecord) -> JobState:
    """One task's."""
    if record.end is not None:
        return state_of(record.end)
    return JobState.PENDING if record.node is None else JobState.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskJobOutcome:
    """What its tasks make of a job; RUNNING where the end of one is not known."""

    state: JobState
    reason: str
    rc: int


def task_job_outcome(records: Sequence[TaskRecord], detail: str, *, cancelled: bool = False) -> TaskJobOutcome:
    """`detail` those that were not started were not."""
    ended = [(record, record.end) for record in records if record.end is not None]
    unknown = any(map(is_open, records))
    left = sum(record.node is None for record in records)
    failed = sum(not (is_done(record) or is_open(record)) for record, _ in ended)
    code = max((code_of(end) for _, end in ended), default=0)
    parts = [f"{failed} of {len(records)} tasks failed"] if failed else []
    parts += [f"{left} of {len(records)} tasks not started" + (f": {detail}" if detail else "")] if left else []
    reason = ", ".join(parts)
    if unknown:
        return TaskJobOutcome(state=JobState.RUNNING, reason=reason, rc=ExitCode.NOT_RUN_TO_ITS_END)
    if left:
        state = JobState.CANCELLED if cancelled else JobState.FAILED
        return TaskJobOutcome(state=state, reason=reason, rc=max(code, ExitCode.NOT_RUN_TO_ITS_END))
    worst = worst_outcome(
        Outcome(node=record.node or NodeName(""), rank=0, end=end, seconds=0.0) for record, end in ended
    )
    return TaskJobOutcome(state=JobState.COMPLETED if worst is None else state_of(worst.end), reason=reason, rc=code)


def unwritten(records: Iterable[TaskRecord], written: frozenset[tuple[int, int]]) -> tuple[TaskRecord, ...]:
    """Those that have run and whose output is not in the job's files; `written` are pairs of slot and task."""
    ran = (one for one in records if one.end is not None and not isinstance(one.end, Lost | NotStarted))
    return tuple(one for one in ran if (one.claim, one.task.number) not in written)


# How many tasks a slot is given at once, when there have been too many failures, and how long it will take. Pure.

_AHEAD_S = 0.2  # of work that a slot has, so that it never waits for us
_MOST_AHEAD = 64
_FAIR = 2
"""Each slot is given at most its share of what is left, divided by this: so all of them end at about the same time."""


def depth(mean_s: float | None, pending: int, slots: int, may_fail: int | None = None) -> int:
    """How many tasks one slot may have: one that runs, and so many behind it as are short.

    Bound late: long tasks are not given to a slot before it is free, for another may be free sooner. `mean_s` is how
    long tasks have taken until now, None before the first has ended; `may_fail`, how many may still fail before it is
    enough, for what a slot has it runs.
    """
    if mean_s is None:
        return 1
    ahead = math.ceil(_AHEAD_S / max(mean_s, _AHEAD_S / _MOST_AHEAD))
    share = math.ceil(pending / (_FAIR * max(1, slots)))
    most = ahead if may_fail is None else min(ahead, may_fail // max(1, slots))
    return max(1, min(most, share))


def most_failures(rules: TaskRules, total: int) -> int | None:
    """How many may fail before no more are given out; None: all of them."""
    if rules.max_fail is None:
        return None
    return math.floor(total * rules.max_fail / 100) if rules.max_fail_is_pct else int(rules.max_fail)


def left_s(*, elapsed_s: float, done: int, total: int) -> float | None:
    """Until all are done, at the pace so far."""
    return None if done == 0 else elapsed_s / done * (total - done)
