"""The tasks of a run: which task is on which slot, their log, and their counts."""

from collections.abc import Mapping, Sequence

from clbalance.engine.agent.job_messages import TaskFinished, end_of
from clbalance.engine.tasks.slot import Slot
from clbalance.engine.tasks.values import TaskRunContext
from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import Cancelled, End, JobState, NotStarted, Outcome
from clbalance.model.task import Task, TaskEnded, TaskGiven, TaskProgress, TaskReturned
from clbalance.policy.jobs.outcome import state_of
from clbalance.policy.jobs.task_queue import TaskQueue
from clbalance.policy.jobs.task_records import depth, left_s, most_failures, refill_at
from clbalance.ports import TaskListener


@dataclass(slots=True)
class TaskCounts:
    """`done` and `failed` count tasks that are over; `runs` and `busy_s` count every ended try, retries included."""

    total: int
    done: int = 0
    failed: int = 0
    runs: int = 0
    busy_s: float = 0.0
    started_at: float | None = None
    expected_s: float | None = None
    """The mean duration by earlier jobs; None: not known."""

    @property
    def mean_s(self) -> float | None:
        """The mean duration of a try, in seconds: of those that have ended, or as it is expected."""
        return self.busy_s / self.runs if self.runs else self.expected_s

    def ran(self, seconds: float) -> None:
        """Count a try that ended by itself."""
        self.runs += 1
        self.busy_s += seconds

    def is_over(self, *, failed: bool) -> None:
        """Count a task that is over."""
        self.done += 1
        self.failed += failed

    def progress(self, now: float, running: int) -> TaskProgress:
        """The progress at `now` (monotonic seconds)."""
        elapsed_s = 0.0 if self.started_at is None else now - self.started_at
        return TaskProgress(
            total=self.total,
            running=running,
            done=self.done,
            failed=self.failed,
            left_s=left_s(elapsed_s=elapsed_s, done=self.done, total=self.total),
        )


class TaskAssignments:
    """The task queue of a run, the task log of its job, and the counts. `listener` can be replaced."""

    def __init__(self, context: TaskRunContext) -> None:
        self.listener: TaskListener = context.listener
        self.queue = TaskQueue(context.tasks, context.restart_policy)
        self.counts = TaskCounts(len(context.tasks))
        self._context = context
        self._clock = context.services.clock
        self.log = context.services.journal.task_log(context.job.id)
        self._proven: set[int] = set()
        """Slots that have ended a task. Others get one task only: it may be long, and no task should wait behind it."""

    def expect(self, durations: Mapping[int, float]) -> None:
        """Give the longest tasks out first. `durations`: expected seconds by task number; empty: not known."""
        if durations:
            self.queue.expect(durations)
            self.counts.expected_s = sum(durations.values()) / len(durations)

    def give(self, slots: Sequence[Slot]) -> list[tuple[Slot, list[Task]]]:
        """Assign tasks to slots that have few left. They are written to the log, and may be sent once it is synced."""
        short = depth(self.counts.mean_s, self.queue.pending, len(slots), self.may_fail)
        batches: list[tuple[Slot, list[Task]]] = []
        for slot in slots:
            has, much = self.queue.with_slot(slot.claim), short if slot.claim in self._proven else 1
            if has <= refill_at(much) and self.queue.pending:
                batches.append((slot, self._wanted(slot, self.queue.take(slot.claim, slot.node, much - has))))
        parts = [(slot, task.number) for slot, some in batches for task in some]
        if parts:
            given = [TaskGiven(number=number, node=slot.node, claim=slot.claim) for slot, number in parts]
            self.log.add(given, durable=False)
        return batches

    def _wanted(self, slot: Slot, taken: Sequence[Task]) -> list[Task]:
        """Those of these tasks that are still wanted; the others are over."""
        wanted = [task for task in taken if self._context.is_wanted(task.number)]
        for task in taken:
            if task not in wanted:
                self._over_unstarted(slot, task.number, Cancelled(reason="not wanted any more"))
        return wanted

    @property
    def may_fail(self) -> int | None:
        """How many more tasks may fail; below 0: too many have failed. None: no limit."""
        most = most_failures(self._context.rules, len(self._context.tasks))
        return None if most is None else most - self.counts.failed

    def returned(self, slot: Slot, number: int) -> None:
        """A slot has returned a task without starting it."""
        self.queue.returned(slot.claim, number)
        self.log.add([TaskReturned(number=number, claim=slot.claim)], durable=False)

    def wrote(self, slot: Slot, number: int, stream: str, piece: bytes) -> None:
        """Pass on a piece of a task's output. A log may name any task: only tasks of this slot may write."""
        if self.queue.has(slot.claim, number):
            self.listener.output(number, slot.node, stream, piece)

    def finished(self, slot: Slot, entry: TaskFinished) -> None:
        """A slot has reported the end of a task."""
        end = end_of(entry.end, self._context.job.time_limit_s)
        is_over = self.queue.ended(slot.claim, entry.number, end)
        if is_over is not None:
            self._proven.add(slot.claim)
            self.counts.ran(entry.seconds)
            self._ended(slot, entry.number, end, entry.seconds, is_over=is_over)

    def not_started(self, slot: Slot, number: int, reason: str) -> None:
        """A task cannot be started: its own files here cannot be sent. `reason`: why."""
        self._over_unstarted(slot, number, NotStarted(reason=reason))

    def _over_unstarted(self, slot: Slot, number: int, end: End) -> None:
        is_over = self.queue.ended(slot.claim, number, end)
        if is_over is not None:
            self._ended(slot, number, end, 0.0, is_over=is_over)

    def slot_over(self, slot: Slot, outcome: Outcome, *, log_is_whole: bool) -> None:
        """Record the tasks whose end a slot has not reported, on disk before the slot's node forgets them."""
        for fate in self.queue.slot_over(slot.claim, outcome.end, log_is_whole=log_is_whole):
            if fate.end is None:
                self.log.add([TaskReturned(number=fate.number, claim=slot.claim)], durable=False)
            else:
                self._ended(slot, fate.number, fate.end, 0.0, is_over=fate.is_over)
        self.log.add([], durable=True)

    def _ended(self, slot: Slot, number: int, end: End, seconds: float, *, is_over: bool) -> None:
        now = self._clock.now()
        ended = TaskEnded(number=number, node=slot.node, claim=slot.claim, end=end, seconds=seconds, at=now)
        self.log.add([ended], durable=False)
        if is_over:
            self.counts.is_over(failed=state_of(end) is not JobState.COMPLETED)
            self.listener.ended(ended)
