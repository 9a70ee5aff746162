"""Record how a task job has ended, from the log of its tasks and the logs of its slots."""

from collections.abc import Sequence
from dataclasses import replace

from clbalance.engine.agent.job_messages import Began, Returned, SlotLog, TaskFinished, Whole, end_of, tells_all
from clbalance.engine.jobs.conclude import keep_results, notify_end
from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec
from clbalance.model.job_record import End, JobState, Lost, Outcome
from clbalance.model.task import Task, TaskEnded, TaskEvent, TaskRecord, TaskRequeued, TaskReturned
from clbalance.policy.jobs.outcome import worst_outcome
from clbalance.policy.jobs.task_queue import with_its_slot
from clbalance.policy.jobs.task_records import (
    TaskJobOutcome,
    is_done,
    is_open,
    most_failures,
    task_job_outcome,
    task_records,
)
from clbalance.ports import Journal, RunListener, TaskLog


def finish_task_job(
    services: Services,
    job: int,
    attempt: int,
    detail: str,
    *,
    run_now: Sequence[Task] = (),
    cancelled: bool = False,
    release: bool = False,
) -> tuple[tuple[TaskRecord, ...], TaskJobOutcome]:
    """Record how the job has ended, from the log of its tasks. If that is not known yet, only release the job.

    `run_now`: the tasks that this process has run. If the journal cannot be read, they give the outcome, and nothing is
    recorded.
    """
    journal = services.journal
    is_over = False
    try:
        tasks: Sequence[Task] = journal.tasks(job)
    except StoreError as error:
        if not run_now:
            raise
        services.listener.store_failed(error.message)
        tasks, release = run_now, True
    records = task_records(tasks, journal.task_log(job).events())
    outcome = task_job_outcome(records, detail, cancelled=cancelled)
    with services.without_store():
        if release or outcome.state is JobState.RUNNING:
            journal.release(job)
        else:
            state, reason, rc = outcome.state, outcome.reason, outcome.rc
            is_over = journal.finish(job, services.clock.now(), attempt=attempt, state=state, reason=reason, rc=rc)
    with services.without_store():
        _keep_results(services, job, records)
    if is_over:
        notify_end(services, job)
    return records, outcome


def record_requeued(services: Services, job: int) -> None:
    """Record that the failed tasks of a requeued job are to be run again, whoever controls the job then."""
    log = services.journal.task_log(job)
    records = task_records(services.journal.tasks(job), log.events())
    failed = [TaskRequeued(number=one.task.number) for one in records if one.end is not None and not is_done(one)]
    if failed:
        log.add(failed, durable=True)


def recorded_tasks(journal: Journal, job: int) -> tuple[TaskRecord, ...]:
    """The records of a job's tasks; none if it is not a job of tasks."""
    tasks = journal.tasks(job)
    return task_records(tasks, journal.task_log(job).events()) if tasks else ()


def tasks_left(services: Services, job: int) -> int:
    """How many tasks another controller would give out: those that never ran; 0 if too many have failed."""
    submitted = services.journal.submitted(job)
    records = recorded_tasks(services.journal, job)
    most = None if submitted is None or submitted.rules is None else most_failures(submitted.rules, len(records))
    failed = sum(one.end is not None and not is_done(one) for one in records)
    return 0 if most is not None and failed > most else sum(one.end is None for one in records)


def _keep_results(services: Services, job: int, records: tuple[TaskRecord, ...]) -> None:
    """A node counts as its worst task. A node without tasks is left out."""
    by_node: dict[NodeName, list[Outcome]] = {}
    for one in records:
        if one.node is not None and one.end is not None:
            outcome = Outcome(node=one.node, rank=0, end=one.end, seconds=one.seconds)
            by_node.setdefault(one.node, []).append(outcome)
    worst = [each for each in map(worst_outcome, by_node.values()) if each is not None]
    placed = services.journal.placed(job)
    if placed:
        keep_results(services, job, worst, replace(placed[-1].plan, wanted=1))


# Record from a slot's log the tasks that a dead controller gave to it.


class ReconciledTasks:
    """Stands between a slot and its `RunListener`. `job.claim` is the slot; `known` are the tasks of its job."""

    def __init__(
        self, services: Services, job: JobSpec, listener: RunListener, *, known: Sequence[TaskRecord], log: TaskLog
    ) -> None:
        self._services = services
        self._job = job
        self._listener = listener
        self._log = SlotLog()
        self._task_log = log
        self._open = {one.task.number for one in known if one.claim == job.claim and is_open(one)}
        self._began: set[int] = set()
        self._whole = False

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None:
        self._listener.migrating(job, node, reason)

    def waiting(self, reason: str) -> None:
        self._listener.waiting(reason)

    def placed(self, job: JobSpec, plan: Plan) -> None:
        self._listener.placed(job, plan)

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        self._listener.started(node, limits)

    def warned(self, node: NodeName, text: str) -> None:
        self._listener.warned(node, text)

    def cut_off(self, node: NodeName) -> None:
        self._listener.cut_off(node)

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        self._listener.output(node, stream, piece)
        if stream != "log":
            return
        events: list[TaskEvent] = []
        for entry in self._log.feed(piece):
            match entry:
                case Began(number=number):
                    self._began.add(number)
                case TaskFinished(number=number, end=end, seconds=seconds):
                    events += self._ended(node, number, end_of(end, self._job.time_limit_s), seconds)
                case Returned(number=number):
                    events += self._returned(number)
                case Whole():
                    self._whole = True
        if events:
            self._task_log.add(events, durable=False)

    def ended(self, outcome: Outcome) -> None:
        if isinstance(outcome.end, Lost):  # not an end; the node is asked again
            self._listener.ended(outcome)
            return
        events: list[TaskEvent] = []
        log_is_whole = tells_all(outcome.end, closed=self._whole)
        for number in sorted(self._open):
            if log_is_whole and number not in self._began:
                events += self._returned(number)
            else:
                events += self._ended(outcome.node, number, with_its_slot(outcome.end), 0.0)
        self._task_log.add(events, durable=True)
        self._listener.ended(outcome)

    def _ended(self, node: NodeName, number: int, end: End, seconds: float) -> list[TaskEvent]:
        if number not in self._open:
            return []
        self._open.discard(number)
        now = self._services.clock.now()
        return [TaskEnded(number=number, node=node, claim=self._job.claim, end=end, seconds=seconds, at=now)]

    def _returned(self, number: int) -> list[TaskEvent]:
        if number not in self._open:
            return []
        self._open.discard(number)
        return [TaskReturned(number=number, claim=self._job.claim)]
