"""A journal in the memory of this process, so that a job can run even if the state database cannot be opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from clbalance.model import NodeName, Plan
from clbalance.model.job import JobChanges, OutputRecord, OutputState, Submitted
from clbalance.model.job_record import (
    CopyRecord,
    Intent,
    JobRecord,
    JobState,
    Lost,
    MigrationRequest,
    MigrationStage,
    Outcome,
    Placed,
)
from clbalance.nodeset import fold
from clbalance.policy.jobs.eligibility import held_reason
from clbalance.policy.jobs.record import qos_of
from clbalance.store.in_memory_jobs import InMemoryJob, InMemoryReturns, InMemoryTaskLog, MemoryWrittenTasks, NoControl
from clbalance.store.job_rows import (
    CLAIMS_APART,
    STARTING,
    begin_of,
    ended_record,
    expanded,
    from_text,
    parted,
    placed_record,
    plan_text,
    to_text,
)

if TYPE_CHECKING:
    from clbalance.model.task import Task


class InMemoryJournal(NoControl):
    """`ports.Journal` of one process. Its job numbers start at 1 each time."""

    def __init__(self) -> None:
        self._jobs: dict[int, InMemoryJob] = {}
        self._outputs: dict[tuple[int, int], OutputRecord] = {}
        self._returns = InMemoryReturns()

    def submit(
        self,
        at: datetime,
        submitted: Submitted,
        tasks: Sequence[Task] = (),
        *,
        accepted: bool = False,
        stdin: bytes | None = None,
    ) -> int:
        number = len(self._jobs) + 1
        begin_at, reason = begin_of(submitted)
        record = JobRecord(
            id=number,
            key=submitted.job.key,
            name=submitted.job.name,
            state=JobState.PENDING,
            reason=reason,
            rc=None,
            attempt=1,
            claim=0,
            nodes=(),
            submitted_at=at,
            started_at=None,
            ended_at=None,
            has_controller=True,
            qos=qos_of(submitted.request),
            priority=submitted.priority,
            queued=accepted,
            waits_since=at,
            begin_at=begin_at,
            engine=submitted.engine,
        )
        facts, script = parted(submitted)
        self._jobs[number] = job = InMemoryJob(record, to_text(facts), script, stdin, tasks=tuple(tasks))
        job.has_files, job.returns_files = submitted.has_files, submitted.returns_files
        return number

    def accept(self, job: int) -> None:
        if not self._jobs[job].record.state.is_over:
            self._jobs[job].record = replace(self._jobs[job].record, queued=True)

    def record_launch(self, job: int, *, attempt: int, claim: int, intents: Sequence[Intent], plan: Plan) -> bool:
        one = self._jobs[job]
        if not one.may_be_started:
            return False
        nodes = tuple(intent.node for intent in sorted(intents, key=lambda intent: intent.rank))
        one.record = replace(one.record, attempt=attempt, claim=claim, nodes=nodes, reason=STARTING, started_at=None)
        one.move = None
        copies = [CopyRecord(attempt=attempt, claim=claim, intent=intent, outcome=None) for intent in intents]
        one.copies += copies
        self._expect_output(job, attempt)
        if one.returns_files:
            self._returns.replace(job, copies)
        self.record_unplaced(job, attempt=attempt, claim=claim, plan=plan)
        return True

    def record_slot_launches(self, job: int, *, attempt: int, slots: Mapping[int, Intent], plan: Plan | None) -> bool:
        one = self._jobs[job]
        if not one.may_be_started:
            return False
        known = one.record.nodes if one.record.attempt == attempt else ()
        nodes = expanded(fold({*known, *(intent.node for intent in slots.values())}))
        one.record = replace(one.record, attempt=attempt, claim=max(one.record.claim, *slots), nodes=nodes)
        copies = [
            CopyRecord(attempt=attempt, claim=claim, intent=intent, outcome=None) for claim, intent in slots.items()
        ]
        one.copies += copies
        self._expect_output(job, attempt)
        if one.returns_files:
            self._returns.expect(job, copies)
        if plan is not None:
            one.record = replace(one.record, reason=STARTING, started_at=None)
            self.record_unplaced(job, attempt=attempt, claim=max(slots), plan=plan)
        return True

    def record_unplaced(self, job: int, *, attempt: int, claim: int, plan: Plan) -> None:
        placed = self._jobs[job].placed
        placed[:] = [one for one in placed if one.attempt != attempt]
        placed.append(placed_record((attempt, claim, plan_text(plan))))

    def started(self, job: int, at: datetime) -> None:
        record = self._jobs[job].record
        if not record.state.is_over:
            begun = record.started_at or at
            running = replace(record, state=JobState.RUNNING, reason="", started_at=begun, waits_since=None)
            self._jobs[job].record = running

    def correct_start(self, job: int, at: datetime) -> None:
        record = self._jobs[job].record
        if not record.state.is_over:
            self._jobs[job].record = replace(record, started_at=at)

    def limited(self, job: int, claim: int, node: NodeName, limits: Sequence[str]) -> None:
        copies = self._jobs[job].copies
        for at, copy in enumerate(copies):
            if (copy.claim, copy.intent.node) == (claim, node):
                copies[at] = replace(copy, limits=tuple(limits))

    def located(self, job: int, claim: int, *, engine_id: str, nodes: Sequence[NodeName]) -> None:
        self._jobs[job].locate(claim, engine_id, nodes)

    def ended(self, job: int, claim: int, outcome: Outcome) -> None:
        copies = [] if isinstance(outcome.end, Lost) else self._jobs[job].copies
        for at, copy in enumerate(copies):
            if (copy.claim, copy.intent.rank, copy.outcome) == (claim, outcome.rank, None):
                copies[at] = replace(copy, outcome=outcome)

    def finish(self, job: int, at: datetime, *, attempt: int, state: JobState, reason: str, rc: int) -> bool:
        record = self._jobs[job].record
        if record.state.is_over or record.attempt != attempt:
            return False
        asked = record.cancel_requested if state is JobState.CANCELLED else ""
        self._jobs[job].move = None
        self._jobs[job].record = ended_record(record, state=state, reason=asked or reason, rc=rc, at=at)
        return True

    def cancel_unstarted(self, job: int, at: datetime, *, reason: str, rc: int) -> bool:
        one = self._jobs[job]
        one.record = replace(one.record, has_controller=False)
        if not one.has_no_open_copy:
            return False
        attempt = one.record.attempt
        return self.finish(job, at, attempt=attempt, state=JobState.CANCELLED, reason=reason, rc=rc)

    def keep_results(self, job: int | None, sets: Mapping[str, str]) -> None:
        """Does nothing."""

    def keep_refusal(self, plan: Plan) -> None:
        """Does nothing: nobody can ask for it later."""

    def last_refusal(self) -> Plan | None:
        return None

    def set_pending_reason(self, job: int, reason: str) -> bool:
        one = self._jobs[job]
        if one.record.cancel_requested or one.record.state.is_over:
            return False
        one.record = replace(one.record, state=JobState.PENDING, reason=reason, waited_for=reason)
        return True

    def release(self, job: int) -> None:
        self._jobs[job].record = replace(self._jobs[job].record, has_controller=False)

    def acquire(self, job: int, reason: str, *, attempt: int) -> bool:
        one = self._jobs.get(job)
        return one is not None and one.is_queued and self._acquire(one, reason, attempt)

    def acquire_again(self, job: int, reason: str, *, attempt: int, at: datetime, accepted: bool) -> bool:
        one = self._jobs.get(job)
        if one is None or one.record.attempt != attempt or not (one.record.state.is_over or one.is_queued):
            return False
        queued = one.record.queued or accepted
        one.record = replace(one.record, queued=queued, waits_since=at, held="", begin_at=None)
        return self._acquire(one, reason, attempt)

    def _acquire(self, one: InMemoryJob, reason: str, attempt: int) -> bool:
        if one.record.attempt != attempt:
            return False
        one.record = replace(one.record, state=JobState.PENDING, reason=reason, rc=None, ended_at=None)
        one.record = replace(
            one.record, claim=one.record.claim + CLAIMS_APART, has_controller=True, cancel_requested=""
        )
        return True

    def cancel(self, job: int, reason: str) -> None:
        one = self._jobs[job]
        if not one.record.state.is_over:
            one.record = replace(one.record, cancel_requested=reason)

    def queue(self, job: int, *, attempt: int, reason: str) -> bool:
        one = self._jobs[job]
        if not one.is_active(attempt) or not one.has_no_open_copy:
            return False
        one.record = replace(
            one.record, state=JobState.PENDING, reason=reason, waited_for=reason, queued=True, has_controller=False
        )
        return True

    def hold(self, job: int, holder: str) -> bool:
        one = self._jobs[job]
        if one.is_pending:
            one.record = replace(one.record, held=one.record.held or holder)
        return one.is_pending

    def end_hold(self, job: int, at: datetime) -> bool:
        one = self._jobs[job]
        if one.is_pending and one.record.held:
            waits_since = None if one.record.waits_since is None else at
            waited_for = held_reason(one.record.held)
            one.record = replace(one.record, held="", waited_for=waited_for, waits_since=waits_since)
        return one.is_pending

    def update(self, job: int, changes: JobChanges) -> bool:
        one = self._jobs[job]
        if one.is_pending:
            changed = changes.applied_to(from_text(one.submitted, Submitted))
            one.submitted = to_text(changed)
            one.record = replace(one.record, name=changed.job.name, priority=changed.priority)
        return one.is_pending

    def adopt(self, job: int, *, attempt: int) -> bool:
        one = self._jobs[job]
        if one.record.state is not JobState.RUNNING or one.record.attempt != attempt:
            return False
        one.record = replace(one.record, has_controller=True)
        return True

    def request_migration(self, job: int, order: MigrationRequest) -> bool:
        one = self._jobs[job]
        is_free = one.move is None or one.move.attempt != order.attempt or one.move.stage is MigrationStage.ABORTED
        if not is_free or not one.is_active(order.attempt) or one.record.state is not JobState.RUNNING:
            return False
        one.move = order
        return True

    def migration_request_of(self, job: int) -> MigrationRequest | None:
        return self._jobs[job].move if job in self._jobs else None

    def commit_migration(self, job: int, order: MigrationRequest) -> bool:
        one = self._jobs[job]
        if not one.is_active(order.attempt):
            return False
        one.move = replace(order, stage=MigrationStage.COMMITTED)
        return True

    def abort_migration(self, job: int, *, attempt: int, reason: str, unless_committed: bool = False) -> bool:
        one = self._jobs[job]
        known = one.move
        if (
            known is None
            or known.attempt != attempt
            or known.stage is MigrationStage.ABORTED
            or one.record.state.is_over
        ):
            return False
        if unless_committed and known.stage is MigrationStage.COMMITTED:
            return False
        one.move = replace(known, stage=MigrationStage.ABORTED, abort_reason=reason)
        return True

    def cancel_requests(self) -> tuple[JobRecord, ...]:
        return tuple(one for one in self.records() if one.cancel_requested and not one.has_controller)

    def records(self, *, over: bool = False, newest: int = 1000) -> tuple[JobRecord, ...]:
        found = [one.shown for one in self._jobs.values() if over or not one.record.state.is_over]
        return tuple(found[-newest:])

    def record(self, job: int) -> JobRecord | None:
        return self._jobs[job].shown if job in self._jobs else None

    def copies(self, job: int) -> tuple[CopyRecord, ...]:
        found = self._jobs[job].copies if job in self._jobs else []
        return tuple(sorted(found, key=lambda copy: (copy.claim, copy.intent.rank)))

    def submitted(self, job: int) -> Submitted | None:
        return from_text(self._jobs[job].submitted, Submitted) if job in self._jobs else None

    def script(self, job: int) -> bytes | None:
        return self._jobs[job].script if job in self._jobs else None

    def stdin(self, job: int) -> bytes | None:
        return self._jobs[job].stdin if job in self._jobs else None

    def tasks(self, job: int) -> tuple[Task, ...]:
        return self._jobs[job].tasks if job in self._jobs else ()

    def task_log(self, job: int) -> InMemoryTaskLog:
        return self._jobs[job].task_log

    def outputs(self, *, pending: bool = False) -> tuple[OutputRecord, ...]:
        return tuple(one for one in self._outputs.values() if not pending or one.state is OutputState.PENDING)

    def set_output(self, job: int, attempt: int, state: OutputState, reason: str = "") -> None:
        if (job, attempt) in self._outputs:
            self._outputs[job, attempt] = OutputRecord(job=job, attempt=attempt, state=state, reason=reason)

    def output_lock(self) -> AbstractContextManager[bool]:
        return nullcontext(True)

    def written_tasks(self, job: int) -> MemoryWrittenTasks:
        return self._jobs[job].written_tasks

    def returns(self) -> InMemoryReturns:
        return self._returns

    def placed(self, job: int) -> tuple[Placed, ...]:
        return tuple(self._jobs[job].placed) if job in self._jobs else ()

    def _expect_output(self, job: int, attempt: int) -> None:
        if self._jobs[job].has_files:
            begun = OutputRecord(job=job, attempt=attempt, state=OutputState.PENDING)
            self._outputs.setdefault((job, attempt), begun)
