"""The restart of a migrated job: from its end at the source to its start, on the target or another node."""

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model.job import JobSpec, RestartPolicy
from clbalance.model.job_record import NotStarted, Outcome
from clbalance.policy.jobs.requeue import MIGRATED_AWAY, Retry, continues_elsewhere, exclude_reason

if TYPE_CHECKING:  # most jobs are never migrated
    from clbalance.engine.run.target import StartReserved, TargetReservation
    from clbalance.engine.run.values import AttemptResult

MOST_STARTS_IN_VAIN = 5


class PendingRestart:
    """A job that was stopped for a migration must start again: it waits for room, whatever its restart policy says."""

    def __init__(self, services: Services, restart_policy: RestartPolicy) -> None:
        self._services = services
        self._restart_policy = restart_policy
        self._reservation: TargetReservation | None = None
        self._in_vain = 0
        self.is_under_way = False
        """The job has ended at the source, and has not been started elsewhere."""
        self.must_be_queued = False
        """Its starts have failed `MOST_STARTS_IN_VAIN` times: back to the queue."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hold(None)

    def hold(self, reservation: "TargetReservation | None") -> None:
        """Keep this reservation; an earlier one is given back."""
        if self._reservation is not None:
            self._reservation.close()
        self._reservation = reservation

    def after(self, job: JobSpec, outcomes: tuple[Outcome, ...]) -> Retry | None:
        """The retry after these outcomes, if they mean that the job is started elsewhere for a migration."""
        if len(outcomes) != 1:
            self.is_under_way = False
            return None
        (outcome,) = outcomes
        if self.is_under_way and isinstance(outcome.end, NotStarted):
            self._in_vain += 1
            self.is_under_way = self._in_vain < MOST_STARTS_IN_VAIN
            self.must_be_queued = not self.is_under_way
            reason, detail = f"it could not start on {outcome.node}", exclude_reason(outcome.end)
        else:
            self.is_under_way = self._was_migrated(job, outcome)
            reason, detail = f"its move from {outcome.node}", MIGRATED_AWAY
        if not self.is_under_way:
            return None
        self._services.fail_point("move-ended")
        return Retry(reason=reason, excluded_nodes={outcome.node: detail})

    @property
    def claim(self) -> int | None:
        """The claim that the target has admitted."""
        held = self.is_under_way and self._reservation is not None
        return self._reservation.job.claim if held and self._reservation is not None else None

    def start(self, job: JobSpec, start: "StartReserved") -> "AttemptResult | None":
        """Start on the reserved target. None if there is no reservation, or it was lost."""
        reservation, self._reservation = self._reservation, None
        if reservation is None:
            return None
        with ExitStack() as stack:
            stack.callback(reservation.close)
            return reservation.start(job, start) if self.is_under_way else None

    def _was_migrated(self, job: JobSpec, outcome: Outcome) -> bool:
        try:
            order = self._services.journal.migration_request_of(job.id)
        except StoreError as error:
            self._services.listener.store_failed(error.message)
            return False
        return (
            order is not None
            and order.attempt == job.attempt
            and continues_elsewhere(outcome.end, order, self._restart_policy)
        )
