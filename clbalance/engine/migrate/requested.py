"""A migration that the job's controller carries out: we request it in the journal, and watch the job's record."""

from typing import Protocol, TypeAlias

from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import JobRecord, JobState, MigrationRequest, MigrationStage
from clbalance.policy.jobs.record import is_queued

# A planned migration, and its possible results.


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationOrder:
    """Migrate a job from `src` to `dst`, for a reason."""

    job: int
    src: NodeName
    dst: NodeName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """The job runs on `node` now: the target, or another node if the target's reservation was lost."""

    node: NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMigrated:
    """The job still runs at the source, or is over, or could not be migrated at all."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undetermined:
    """The state of the job is not known now, or it is queued: the next `rebalance` takes care of it."""

    reason: str


MigrationResult: TypeAlias = Migrated | NotMigrated | Undetermined


def end_by_record(record: JobRecord | None, attempt: int) -> MigrationResult | None:
    """The result of migrating that attempt, by the job's record. None: still open."""
    if record is None:
        return Undetermined(reason="it is no longer in the state database")
    if record.state.is_over:
        return NotMigrated(reason=f"it is {record.state}" + (f": {record.reason}" if record.reason else ""))
    if is_queued(record):
        return Undetermined(reason=f"it waits: {record.reason}")
    is_started = record.attempt > attempt and record.state is JobState.RUNNING
    return Migrated(node=record.nodes[0]) if is_started else None


class MigrationTask(Protocol):
    """A migration under way, polled until it has an end."""

    def poll(self) -> MigrationResult | None:
        """Do the steps that are due. Returns the end, once there is one."""
        ...

    def cancel_pending(self) -> None:
        """We were stopped: abort the migration if it has not reached the job."""
        ...

    def detach(self) -> MigrationResult:
        """We exit: leave the job without us."""
        ...


_ANSWERED_WITHIN_S = 30.0  # on top of the time for the target's answer: the controller may be busy
_STARTED_WITHIN_S = 60.0  # on top of that and of the grace period
_REQUEUE_GRACE_S = 5.0
_NOBODY_WAITS = "nothing waits for it any more"
_NO_REACTION = "its controller did not act on the request in time"


def begin_delegated(
    services: Services, move: MigrationOrder, order: MigrationRequest, restart_policy: RestartPolicy
) -> MigrationTask | NotMigrated:
    """Request the migration from the job's controller."""
    if not services.journal.request_migration(move.job, order):
        return NotMigrated(reason="another move or a cancel of it is under way")
    return DelegatedMigration(services, move, order, restart_policy)


class DelegatedMigration:
    """Watches a requested migration through the journal only."""

    def __init__(
        self, services: Services, move: MigrationOrder, order: MigrationRequest, restart_policy: RestartPolicy
    ) -> None:
        self._services = services
        self._order = move
        self._request = order
        grace_s = _REQUEUE_GRACE_S if restart_policy.checkpoint is None else restart_policy.checkpoint.grace_s
        now = services.clock.monotonic()
        self._answered_by = now + _ANSWERED_WITHIN_S + 2 * services.answer_within_s
        self._done_by = self._answered_by + _STARTED_WITHIN_S + grace_s

    def poll(self) -> MigrationResult | None:
        """The end by the job's record, or by the state of the request."""
        journal, job, attempt = self._services.journal, self._order.job, self._request.attempt
        record = journal.record(job)
        end = end_by_record(record, attempt)
        if end is not None:
            return end
        if record is not None and not record.has_controller:  # re-read: it may have written after our first read
            return end_by_record(journal.record(job), attempt) or self.detach("its controller died")
        known = journal.migration_request_of(job)
        if known is not None and known.attempt == attempt and known.stage is MigrationStage.ABORTED:
            return NotMigrated(reason=known.abort_reason)
        return self._late()

    def cancel_pending(self) -> None:
        """Withdraw the request unless it is committed."""
        self._withdraw(_NOBODY_WAITS)

    def detach(self, reason: str = _NOBODY_WAITS) -> MigrationResult:
        """Withdraw the request. If it is committed already, the controller continues alone."""
        return NotMigrated(reason=reason) if self._withdraw(reason) else Undetermined(reason=reason)

    def _late(self) -> MigrationResult | None:
        now = self._services.clock.monotonic()
        if now >= self._answered_by and self._withdraw(_NO_REACTION):
            return NotMigrated(reason=_NO_REACTION)
        return (
            Undetermined(reason="it was stopped, and has not been started again yet") if now >= self._done_by else None
        )

    def _withdraw(self, reason: str) -> bool:
        journal = self._services.journal
        return journal.abort_migration(
            self._order.job, attempt=self._request.attempt, reason=reason, unless_committed=True
        )
