"""What `InMemoryJournal` keeps of one job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field, replace
from typing import TYPE_CHECKING

from clbalance.errors import StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_files import ReturnRecord, ReturnState
from clbalance.model.job_record import CopyRecord, JobRecord, JobState, MigrationRequest, Placed
from clbalance.policy.jobs.eligibility import held_reason
from clbalance.ports import JobLock

if TYPE_CHECKING:
    from clbalance.model.task import Task, TaskEvent


class NoControl:
    """The methods of `ports.Journal` for the control of jobs, which in one process has no other."""

    def control_fd(self) -> int | None:
        return None

    def hand_over(self) -> JobLock:
        raise StoreError("a job in memory has no other controller")


class InMemoryTaskLog:
    """`ports.TaskLog` of one process."""

    def __init__(self) -> None:
        self._events: list[TaskEvent] = []
        self.is_open = False

    def add(self, events: Sequence[TaskEvent], *, durable: bool) -> None:
        del durable
        self.is_open = True
        self._events += events

    def sync(self, done: Callable[[StoreError | None], None]) -> None:
        done(None)

    def events(self) -> tuple[TaskEvent, ...]:
        return tuple(self._events)

    def close(self) -> None:
        self.is_open = False


class MemoryWrittenTasks:
    """`ports.WrittenTasks` of one process."""

    def __init__(self) -> None:
        self._written: set[tuple[int, int]] = set()

    def add(self, claim: int, number: int) -> None:
        self._written.add((claim, number))

    def all(self) -> frozenset[tuple[int, int]]:
        return frozenset(self._written)


class InMemoryReturns:
    """`ports.Returns` of one process."""

    def __init__(self) -> None:
        self._records: dict[tuple[int, int, int], ReturnRecord] = {}

    def replace(self, job: int, copies: Sequence[CopyRecord]) -> None:
        """Files of these copies are to be returned, and those of earlier ones no more."""
        for one in self.of(job):
            if one.state is ReturnState.PENDING:
                self.put(replace(one, state=ReturnState.LOST, reason="the job was started again"))
        self.expect(job, copies)

    def expect(self, job: int, copies: Sequence[CopyRecord]) -> None:
        """Files of these copies are to be returned."""
        for copy in copies:
            launch = copy.intent
            self.put(ReturnRecord(job=job, claim=copy.claim, rank=launch.rank, node=launch.node, folder=launch.folder))

    def all(self, *, pending: bool = False) -> tuple[ReturnRecord, ...]:
        known = (self._records[key] for key in sorted(self._records))
        return tuple(one for one in known if not pending or one.state is ReturnState.PENDING)

    def of(self, job: int) -> tuple[ReturnRecord, ...]:
        return tuple(one for one in self.all() if one.job == job)

    def put(self, record: ReturnRecord) -> None:
        self._records[record.job, record.claim, record.rank] = record

    def lock(self, job: int) -> AbstractContextManager[bool]:
        return nullcontext(True)


@dataclass(slots=True)
class InMemoryJob:
    """One job of `InMemoryJournal`."""

    record: JobRecord
    submitted: str
    """As text, so that this keeps no more than the database would."""
    script: bytes | None
    stdin: bytes | None
    copies: list[CopyRecord] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    tasks: tuple[Task, ...] = ()
    task_log: InMemoryTaskLog = field(default_factory=InMemoryTaskLog)
    written_tasks: MemoryWrittenTasks = field(default_factory=MemoryWrittenTasks)
    has_files: bool = False
    returns_files: bool = False
    move: MigrationRequest | None = None

    def locate(self, claim: int, engine_id: str, nodes: Sequence[NodeName]) -> None:
        """As `Journal.located`."""
        known = [copy for copy in self.copies if copy.claim == claim]
        others = [copy for copy in self.copies if copy.claim != claim]
        for rank, node in enumerate(nodes):
            before = known[rank] if rank < len(known) else replace(known[0], outcome=None)
            known[rank : rank + 1] = [replace(before, intent=replace(before.intent, rank=rank, node=node))]
        self.copies = [*others, *(replace(copy, engine_id=engine_id) for copy in known)]
        if nodes and not self.record.state.is_over:
            self.record = replace(self.record, nodes=tuple(nodes))

    def is_active(self, attempt: int) -> bool:
        """Whether that attempt goes on."""
        record = self.record
        return not record.state.is_over and record.attempt == attempt and not record.cancel_requested

    @property
    def is_queued(self) -> bool:
        """Whether any process may start it."""
        record = self.record
        return record.queued and not record.has_controller and not record.held and self.is_pending

    @property
    def is_pending(self) -> bool:
        """Whether it waits for its start: no copy of it may run, and nobody has cancelled it."""
        record = self.record
        return record.state is JobState.PENDING and not record.cancel_requested and self.has_no_open_copy

    @property
    def may_be_started(self) -> bool:
        """Whether a launch of it may be recorded."""
        record = self.record
        return not (record.state.is_over or record.cancel_requested or record.held)

    @property
    def shown(self) -> JobRecord:
        """The record, with the reason of a held job."""
        record = self.record
        is_held = record.held and record.state is JobState.PENDING
        return replace(record, reason=held_reason(record.held)) if is_held else record

    @property
    def has_no_open_copy(self) -> bool:
        """Whether the end of each copy of this attempt is known."""
        return not any(copy.attempt == self.record.attempt and copy.outcome is None for copy in self.copies)
