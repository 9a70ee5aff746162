"""A move of a plan that the job's controller carries out: the order in the journal, and what may come of it."""

from typing import Protocol, TypeAlias

from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import JobRecord, JobState, MigrationRequest, MigrationStage
from clbalance.policy.jobs.record import is_queued

# One move of a plan under way, and what may come of it.


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationOrder:
    """A job that is to go from `src` to `dst`, and why."""

    job: int
    src: NodeName
    dst: NodeName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """It runs on `node` now: where it was to go, or where it found a place when that was lost."""

    node: NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMigrated:
    """It runs on where it was, or is over; or it was never ours to move."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undetermined:
    """How it stands is not known now, or it waits for a place: the next `rebalance` sees to it."""

    reason: str


MigrationResult: TypeAlias = Migrated | NotMigrated | Undetermined


def end_by_record(record: JobRecord | None, attempt: int) -> MigrationResult | None:
    """What its record says of the move of that attempt; None where it says nothing yet."""
    if record is None:
        return Undetermined(reason="it is not remembered any more")
    if record.state.is_over:
        return NotMigrated(reason=f"it is {record.state}" + (f": {record.reason}" if record.reason else ""))
    if is_queued(record):
        return Undetermined(reason=f"it waits: {record.reason}")
    is_started = record.attempt > attempt and record.state is JobState.RUNNING
    return Migrated(node=record.nodes[0]) if is_started else None


class MigrationTask(Protocol):
    """Looked at again and again until it has an end."""

    def poll(self) -> MigrationResult | None:
        """Do what has fallen due; the end, once there is one."""
        ...

    def cancel_pending(self) -> None:
        """We are told to stop: what has not reached the job is called off."""
        ...

    def detach(self) -> MigrationResult:
        """We stop: the job goes on without us."""
        ...


_HEEDED_WITHIN_S = 30.0  # beyond the time that the target has to answer: who has the job in hand may be busy
_STARTED_WITHIN_S = 60.0  # beyond that, and the grace
_REQUEUE_GRACE_S = 5.0
_NOBODY_WAITS = "nobody waits for it any more"


def begin_delegated(
    services: Services, move: MigrationOrder, order: MigrationRequest, restart_policy: RestartPolicy
) -> MigrationTask | NotMigrated:
    """Ask who has the job in hand."""
    if not services.journal.request_migration(move.job, order):
        return NotMigrated(reason="another move or a cancel of it is under way")
    return DelegatedMigration(services, move, order, restart_policy)


class DelegatedMigration:
    """Seen through the journal alone."""

    def __init__(
        self, services: Services, move: MigrationOrder, order: MigrationRequest, restart_policy: RestartPolicy
    ) -> None:
        self._services = services
        self._order = move
        self._request = order
        grace_s = _REQUEUE_GRACE_S if restart_policy.checkpoint is None else restart_policy.checkpoint.grace_s
        now = services.clock.monotonic()
        self._heeded_by = now + _HEEDED_WITHIN_S + 2 * services.answer_within_s
        self._done_by = self._heeded_by + _STARTED_WITHIN_S + grace_s

    def poll(self) -> MigrationResult | None:
        """By its record, and by what has become of the order."""
        journal, job, attempt = self._services.journal, self._order.job, self._request.attempt
        record = journal.record(job)
        end = end_by_record(record, attempt)
        if end is not None:
            return end
        if record is not None and not record.has_controller:  # looked at again: its last word may be younger
            return end_by_record(journal.record(job), attempt) or self.detach("who had it in hand died")
        known = journal.migration_request_of(job)
        if known is not None and known.attempt == attempt and known.stage is MigrationStage.ABORTED:
            return NotMigrated(reason=known.abort_reason)
        return self._late()

    def cancel_pending(self) -> None:
        """Nobody waits for the answer any more."""
        self._withdraw(_NOBODY_WAITS)

    def detach(self, reason: str = _NOBODY_WAITS) -> MigrationResult:
        """Who has it in hand goes on as he can."""
        return NotMigrated(reason=reason) if self._withdraw(reason) else Undetermined(reason=reason)

    def _late(self) -> MigrationResult | None:
        now = self._services.clock.monotonic()
        if now >= self._heeded_by and self._withdraw("who has the job in hand did not heed it in time"):
            return NotMigrated(reason="who has it in hand did not heed the order in time")
        return Undetermined(reason="it was stopped, and does not run again yet") if now >= self._done_by else None

    def _withdraw(self, reason: str) -> bool:
        journal = self._services.journal
        return journal.abort_migration(
            self._order.job, attempt=self._request.attempt, reason=reason, unless_committed=True
        )
