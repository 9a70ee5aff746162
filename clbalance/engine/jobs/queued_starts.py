"""Start the queued jobs that a process waits for, now and then, when they fit."""

from collections.abc import Sequence

from clbalance.engine.jobs.conclude import release
from clbalance.engine.services import Services
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.eligibility import why_not_eligible
from clbalance.policy.jobs.record import copies_without_outcome, is_queued

_AGAIN_S = (1.0, 15.0)  # between two tries: at first, and at most
_LATE = 0.2  # a pause is about this share of the time waited so far


class QueuedStarts:
    """Tries to start queued jobs, with growing pauses."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._since = self._at = services.clock.monotonic()
        self._waiting = False
        self._tried: set[int] = set()

    @property
    def are_due(self) -> bool:
        """Whether to try now. Never while no job is queued."""
        return self._waiting and self._services.clock.monotonic() >= self._at

    def start(self, records: Sequence[JobRecord]) -> bool:
        """Start those that are queued and fit, if that is due. Return whether it was: records have changed then."""
        queued = [record for record in records if is_queued(record) and not self._may_run(record)]
        kept = [record.id for record in records if self._may_be_ours(record)]
        self._waiting = bool(queued or kept)
        if not self.are_due:
            return False
        for job in kept:
            release(self._services, job)
        now = self._services.clock.now()
        if eligible := [record.id for record in queued if not why_not_eligible(record, now)]:
            self._tried.update(eligible)
            self._services.start_queued(self._services, eligible)
        now_s = self._services.clock.monotonic()
        shortest_s, longest_s = _AGAIN_S
        self._at = now_s + min(max((now_s - self._since) * _LATE, shortest_s), longest_s)
        return True

    def _may_be_ours(self, record: JobRecord) -> bool:
        """Whether we may still control a job that we have tried to start: the journal failed when we gave it back."""
        return record.id in self._tried and record.state is JobState.PENDING and record.has_controller

    def _may_run(self, record: JobRecord) -> bool:
        return bool(copies_without_outcome(record, self._services.journal.copies(record.id)))
