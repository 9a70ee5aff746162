"""Wait for the dependencies of a job, for its begin time or release, or for room to place it; and give up."""

from collections.abc import Callable
from dataclasses import replace

from clbalance.engine.jobs.conclude import cancel_unstarted, requeue
from clbalance.engine.services import Services
from clbalance.errors import NotRunError
from clbalance.model.job import JobSpec, RestartPolicy
from clbalance.model.job_record import JobRecord
from clbalance.policy.jobs.eligibility import why_not_eligible
from clbalance.policy.jobs.record import DependencyState
from clbalance.policy.placement.select import Rng

_ASK_AGAIN_S = (0.5, 15.0)  # between two sweeps of a waiting job: at first, and at most
_LATE = 0.2  # a pause is about this share of the time waited so far: freed room is found so much later
_LOOK_AGAIN_S = 1.0  # at the record of a job that is held, or whose begin time has not come


class PlacementWait:
    """The wait of a job for room, for `for_s` seconds at most."""

    def __init__(self, services: Services, for_s: float, rng: Rng) -> None:
        self._clock = services.clock
        self._for_s = for_s
        self._rng = rng
        self._since = services.clock.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the job has waited as long as it may."""
        return self._waited_s() >= self._for_s

    def pause(self) -> None:
        """Pause until the next sweep is worthwhile."""
        shortest_s, longest_s = _ASK_AGAIN_S
        waited_s = self._waited_s()
        pause_s = min(max(waited_s * _LATE, shortest_s), longest_s)
        self._clock.pause(max(0.0, min(self._for_s - waited_s, pause_s * (0.5 + self._rng.random()))))

    def _waited_s(self) -> float:
        return self._clock.monotonic() - self._since


def kept_back(services: Services, job: int) -> str:
    """Why a job may not be started now, whatever room there is; empty if it may, or if it was cancelled."""
    record = services.journal.record(job) if job else None
    return "" if record is None or _is_cancelled(record) else why_not_eligible(record, services.clock.now())


def was_held(services: Services, job: int) -> bool:
    """Whether the journal has refused a launch because the job was held, not cancelled. It may be released by now."""
    record = services.journal.record(job)
    return record is not None and not _is_cancelled(record)


def _is_cancelled(record: JobRecord) -> bool:
    return bool(record.cancel_requested) or record.state.is_over


def wait_until_eligible(services: Services, job: int, tell: Callable[[str], None]) -> bool:
    """Wait while the job is held, and until its begin time has come by the clock. Whether it had to wait.

    The record is read again and again: meanwhile the job may be held, released or cancelled, and the clock may be set.
    """
    told = ""
    while reason := kept_back(services, job):
        if reason != told:
            tell(reason)
        told = reason
        services.clock.pause(_LOOK_AGAIN_S)
    return bool(told)


def as_updated(services: Services, job: JobSpec) -> JobSpec:
    """The job with the name and the time limit that `update` has given it by now."""
    submitted = services.journal.submitted(job.id) if job.id else None
    if submitted is None:
        return job
    return replace(job, name=submitted.job.name, time_limit_s=submitted.job.time_limit_s)


def wait_for_dependencies(
    services: Services,
    job: int,
    restart_policy: RestartPolicy,
    tell: Callable[[str], None],
    *,
    accepted: bool = False,
    queued: bool = False,
) -> str | None:
    """Wait until the dependencies are completed; return None. If the job may be queued, queue it and return why.

    `NotRunError`, after recording it, if the dependencies can never be completed. `accepted`: nodes that do not answer
    are waited for. `queued`: the job comes from the queue, and returns to it if they do not.
    """
    if not restart_policy.after:
        return None
    if restart_policy.queue:
        return _queued_after(services, job, restart_policy.after)
    from clbalance.engine.jobs.submitted import await_dependencies

    reason = f"after job {', '.join(map(str, restart_policy.after))}"
    while True:
        tell(reason)
        services.journal.set_pending_reason(job, reason)
        found = await_dependencies(services, job, restart_policy)
        if found.state is DependencyState.SATISFIED:
            return None
        if found.state is DependencyState.NEVER:
            raise _never(services, job, found.reason)
        reason = f"{found.reason}, whose nodes do not answer any more"
        if not accepted:
            if queued and requeue(services, job, reason):
                return reason
            raise _never(services, job, reason)
        services.clock.pause(_ASK_AGAIN_S[1])


def _queued_after(services: Services, job: int, after: tuple[int, ...]) -> str | None:
    from clbalance.engine.jobs.submitted import dependency_state

    found = dependency_state(services, after)
    if found.state is DependencyState.NEVER:
        raise _never(services, job, found.reason)
    if found.state is DependencyState.WAITING and requeue(services, job, found.reason):
        return found.reason
    return None


def _never(services: Services, job: int, reason: str) -> NotRunError:
    cancel_unstarted(services, job, reason)
    return NotRunError(f"job {job} is not started: {reason}")
