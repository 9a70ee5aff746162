"""From a log of task events to task records and the job's outcome, and how many tasks a slot gets at once. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import assert_never

from clbalance.errors import ExitCode
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import TaskRules
from clbalance.model.job_record import Exited, JobState, Lost, NotStarted, Outcome
from clbalance.model.task import (
    Task,
    TaskEnded,
    TaskEvent,
    TaskGiven,
    TaskRecord,
    TaskRequeued,
    TaskReturned,
    TaskSummary,
)
from clbalance.policy.jobs.outcome import code_of, state_of, worst_outcome


def task_records(tasks: Iterable[Task], events: Iterable[TaskEvent]) -> tuple[TaskRecord, ...]:
    """Each task by its last event, in the order of `tasks`; events of other tasks are ignored."""
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
        case TaskRequeued():
            return known if known.end is None else TaskRecord(task=known.task)
        case TaskEnded():
            ended = replace(
                known, node=event.node, claim=event.claim, end=event.end, seconds=event.seconds, at=event.at
            )
            return known if _is_elsewhere(known, event) or _is_known_better(known, event) else ended
        case _:
            assert_never(event)


def _is_elsewhere(known: TaskRecord, event: TaskEnded) -> bool:
    """Whether another slot has the task now: two processes may reconcile a slot at once, and the slower is late."""
    return known.node is not None and known.claim != event.claim


def _is_known_better(known: TaskRecord, event: TaskEnded) -> bool:
    """Whether an end is known already that `event`, a silent node, must not replace."""
    return isinstance(event.end, Lost) and known.end is not None


def is_open(record: TaskRecord) -> bool:
    """Whether a slot has it, and its end is unknown."""
    return state_of_task(record) is JobState.RUNNING


def is_done(record: TaskRecord) -> bool:
    """Whether it need not be run again."""
    return record.end == Exited(rc=0)


def state_of_task(record: TaskRecord) -> JobState:
    """State of one task."""
    if record.end is not None:
        return state_of(record.end)
    return JobState.PENDING if record.node is None else JobState.RUNNING


def summary_of(records: Sequence[TaskRecord]) -> TaskSummary:
    """How many tasks are in each state. All that is told of a job's tasks in numbers is made from this."""
    return TaskSummary(total=len(records), by_state=Counter(map(state_of_task, records)))


_IN_WORDS = {
    JobState.PENDING: "not started",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.TIMEOUT: "timed out",
    JobState.NODE_FAIL: "lost with their node",
    JobState.OUT_OF_MEMORY: "out of memory",
}


def summary_text(summary: TaskSummary, detail: str = "", *, running: str = "unknown") -> str:
    """Such as "1997 of 2012 tasks completed, 12 not started, 3 failed: stopped by SIGINT".

    `detail`: why tasks were not started. `running`: the word for tasks whose end is not known.
    """
    words = {**_IN_WORDS, JobState.RUNNING: running}
    parts = [f"{summary.count(JobState.COMPLETED)} of {summary.total} tasks completed"]
    parts += [f"{summary.count(state)} {words[state]}" for state in JobState if state in words and summary.count(state)]
    return ", ".join(parts) + (f": {detail}" if detail and summary.count(JobState.PENDING) else "")


def counts_and_reason(summary: TaskSummary, reason: str, *, is_over: bool) -> str:
    """How the tasks of a job stand, and its reason if that says more; only the reason if no task was started yet."""
    counts = summary_text(summary, running="unknown" if reason else "running")
    if not reason:
        return counts
    has_not_begun = not is_over and summary.count(JobState.PENDING) == summary.total
    return reason if has_not_begun or reason.startswith(counts) else f"{counts}: {reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskJobOutcome:
    """State and reason of a task job; RUNNING if the end of a task is unknown."""

    state: JobState
    reason: str
    rc: int


def task_job_outcome(records: Sequence[TaskRecord], detail: str, *, cancelled: bool = False) -> TaskJobOutcome:
    """The outcome by all tasks; `detail`: why tasks were not started."""
    ended = [(record, record.end) for record in records if record.end is not None]
    summary = summary_of(records)
    code = max((code_of(end) for _, end in ended), default=0)
    is_whole = summary.count(JobState.COMPLETED) == summary.total
    reason = "" if is_whole else summary_text(summary, detail)
    if summary.count(JobState.RUNNING):
        return TaskJobOutcome(state=JobState.RUNNING, reason=reason, rc=ExitCode.NOT_RUN_TO_ITS_END)
    if summary.count(JobState.PENDING):
        state = JobState.CANCELLED if cancelled else JobState.FAILED
        return TaskJobOutcome(state=state, reason=reason, rc=max(code, ExitCode.NOT_RUN_TO_ITS_END))
    worst = worst_outcome(
        Outcome(node=record.node or NodeName(""), rank=0, end=end, seconds=0.0) for record, end in ended
    )
    return TaskJobOutcome(state=JobState.COMPLETED if worst is None else state_of(worst.end), reason=reason, rc=code)


def unwritten(records: Iterable[TaskRecord], written: frozenset[tuple[int, int]]) -> tuple[TaskRecord, ...]:
    """Tasks that ran and whose output is not in the job's files yet; `written`: pairs of slot and task."""
    ran = (one for one in records if one.end is not None and not isinstance(one.end, Lost | NotStarted))
    return tuple(one for one in ran if (one.claim, one.task.number) not in written)


# -- how many tasks a slot gets at once, the limit of failures, and the time left

_AHEAD_S = 0.4  # seconds of work that a slot has in advance, so that it never waits for us
_MOST_AHEAD = 64
_LONG_S = 5.0
"""A slot waits about 0.03 s for a task that is not there yet. For shorter tasks than these that is worth avoiding."""
_FAIR = 2
"""A slot gets at most its share of the pending tasks, divided by this, so that all slots end at about the same time."""


def depth(mean_s: float | None, pending: int, slots: int, may_fail: int | None = None) -> int:
    """How many tasks one slot may have: a running one, and more behind it if tasks are short.

    Tasks are bound late: a slot gets a long task only when it is free, because another slot may be free sooner. While
    many are pending, the next one is there already unless they are long: no slot is idle before the others.
    `mean_s`: mean duration of tasks so far, None before the first has ended. `may_fail`: how many may still fail before
    the limit; a slot runs every task that it has.
    """
    if mean_s is None:
        return 1
    ahead = max(math.ceil(_AHEAD_S / max(mean_s, _AHEAD_S / _MOST_AHEAD)), 2 if mean_s < _LONG_S else 1)
    share = math.ceil(pending / (_FAIR * max(1, slots)))
    most = ahead if may_fail is None else min(ahead, may_fail // max(1, slots))
    return max(1, min(most, share))


def refill_at(much: int) -> int:
    """How many tasks a slot of that depth has left when it is given more: few, because each message costs something."""
    return max(1, much // 4) if much > 1 else 0


def most_failures(rules: TaskRules, total: int) -> int | None:
    """How many tasks may fail before no more are given out; None: all of them."""
    if rules.max_fail is None:
        return None
    return math.floor(total * rules.max_fail / 100) if rules.max_fail_is_pct else int(rules.max_fail)


def left_s(*, elapsed_s: float, done: int, total: int) -> float | None:
    """Estimated seconds until all are done, at the pace so far; None: not known yet."""
    return None if done == 0 else elapsed_s / done * (total - done)
