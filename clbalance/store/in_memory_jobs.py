"""What `InMemoryJournal` keeps of one job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import CopyRecord, JobRecord, JobState, MigrationRequest, Placed

if TYPE_CHECKING:
    from clbalance.model.task import Task, TaskEvent


class InMemoryTaskLog:
    """`ports.TaskLog` of one process."""

    def __init__(self) -> None:
        self._events: list[TaskEvent] = []

    def add(self, events: Sequence[TaskEvent], *, durable: bool) -> None:
        del durable
        self._events += events

    def events(self) -> tuple[TaskEvent, ...]:
        return tuple(self._events)


class MemoryWrittenTasks:
    """`ports.WrittenTasks` of one process."""

    def __init__(self) -> None:
        self._written: set[tuple[int, int]] = set()

    def add(self, claim: int, number: int) -> None:
        self._written.add((claim, number))

    def all(self) -> frozenset[tuple[int, int]]:
        return frozenset(self._written)


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
    move: MigrationRequest | None = None

    def is_active(self, attempt: int) -> bool:
        """Whether that attempt goes on."""
        record = self.record
        return not record.state.is_over and record.attempt == attempt and not record.cancel_requested

    @property
    def is_queued(self) -> bool:
        """Whether any process may start it."""
        record = self.record
        is_held = record.has_controller or record.cancel_requested
        return record.queued and record.state is JobState.PENDING and not is_held and self.has_no_open_copy

    @property
    def has_no_open_copy(self) -> bool:
        """Whether the end of each copy of this attempt is known."""
        return not any(copy.attempt == self.record.attempt and copy.outcome is None for copy in self.copies)
