"""What a run must know of a job that is moved: from the end at the source to its start, there or anywhere else."""

from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model.job import JobSpec, RestartPolicy
from clbalance.model.job_record import NotStarted, Outcome
from clbalance.policy.jobs.requeue import MIGRATED_AWAY, Retry, continues_elsewhere, exclude_reason

if TYPE_CHECKING:  # most jobs are never moved
    from clbalance.engine.run.target import StartReserved, TargetReservation
    from clbalance.engine.run.values import AttemptResult

_AS_LONG_AS_IT_TAKES_S = 10 * 365 * 86400.0
_MOST_STARTS_IN_VAIN = 5


class PendingRestart:
    """A job that was stopped for a move is owed another start: it waits for one, whatever its owner said of waiting."""

    def __init__(self, services: Services, restart_policy: RestartPolicy) -> None:
        self._services = services
        self._restart_policy = restart_policy
        self._reservation: TargetReservation | None = None
        self._in_vain = 0
        self.is_under_way = False
        """It has ended at one place, and has not been started at another."""
        self.is_owed_a_start = False
        """And it has been tried often enough."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hold(None)

    def hold(self, reservation: "TargetReservation | None") -> None:
        """In the place of an earlier one, which is given back."""
        if self._reservation is not None:
            self._reservation.close()
        self._reservation = reservation

    def after(self, job: JobSpec, outcomes: tuple[Outcome, ...]) -> Retry | None:
        """Whether these ends mean that it is started elsewhere, because of a move."""
        if len(outcomes) != 1:
            self.is_under_way = False
            return None
        (outcome,) = outcomes
        if self.is_under_way and isinstance(outcome.end, NotStarted):
            self._in_vain += 1
            self.is_under_way = self._in_vain < _MOST_STARTS_IN_VAIN
            self.is_owed_a_start = not self.is_under_way
            reason, detail = f"it could not start on {outcome.node}", exclude_reason(outcome.end)
        else:
            self.is_under_way = self._was_migrated(job, outcome)
            reason, detail = f"its move from {outcome.node}", MIGRATED_AWAY
        if not self.is_under_way:
            return None
        self._services.fail_point("move-ended")
        return Retry(reason=reason, excluded_nodes={outcome.node: detail})

    def policy_for(self, mode: FollowMode) -> RestartPolicy:
        """How long it waits for a place; who has only moved it does not wait with it."""
        if mode.leave_when_started and self.is_under_way:
            return replace(self._restart_policy, queue_for_s=None)
        return (
            replace(self._restart_policy, queue_for_s=_AS_LONG_AS_IT_TAKES_S)
            if self.is_under_way
            else self._restart_policy
        )

    @property
    def claim(self) -> int | None:
        """The one that the target has granted."""
        held = self.is_under_way and self._reservation is not None
        return self._reservation.job.claim if held and self._reservation is not None else None

    def start(self, job: JobSpec, start: "StartReserved") -> "AttemptResult | None":
        """Where a place is kept for it; None where there is none."""
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
