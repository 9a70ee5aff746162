"""When a pending job may be started: not while it is held, and not before its begin time. Pure.

A job is *eligible* (Slurm's word) if neither stands against its start, and its dependencies are satisfied.
"""

from datetime import datetime, timedelta
from typing import Final

from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.record import Dependency, DependencyState, is_queued

_LATE: Final = timedelta(minutes=1)
"""A start within this time after the begin time is in time."""
_NOT_BEFORE: Final = "not before "


def held_reason(holder: str) -> str:
    """The pending reason of a held job."""
    return f"held by {holder}"


def begin_reason(begin_at: datetime) -> str:
    """The pending reason of a job whose begin time has not come, in local time."""
    return f"{_NOT_BEFORE}{_shown(begin_at)}"


def why_not_eligible(record: JobRecord, now: datetime) -> str:
    """Why nobody may start the job now, whatever room there is; empty if it may be started."""
    if record.held:
        return held_reason(record.held)
    if record.begin_at is not None and now < record.begin_at:
        return begin_reason(record.begin_at)
    return ""


def eligibility(record: JobRecord, dependency: Dependency, now: datetime) -> Dependency:
    """Whether a queued job may be started now. A dependency that can never be satisfied ends also a held job."""
    reason = why_not_eligible(record, now)
    if not reason or dependency.state is DependencyState.NEVER:
        return dependency
    return Dependency(state=DependencyState.WAITING, reason=reason)


def pending_reason(record: JobRecord, now: datetime) -> str:
    """Why a job waits, by the clock: its record may be of a time before or after its begin time. Else its reason."""
    if record.state is not JobState.PENDING:
        return record.reason
    if reason := why_not_eligible(record, now):
        return reason
    is_overdue = record.reason.startswith(_NOT_BEFORE) and is_queued(record)
    return f"{record.reason}; waits for `clbalance rebalance`" if is_overdue else record.reason


def late_start(record: JobRecord) -> str:
    """When a job should have begun, when it began, and why not before; empty if its first start was in time."""
    begin_at, began_at = record.begin_at, record.started_at
    if begin_at is None or began_at is None or record.attempt > 1 or began_at - begin_at < _LATE:
        return ""
    why = record.waited_for
    if not why or why.startswith(_NOT_BEFORE):
        why = "no controller and no `rebalance` ran to start it"
    return f"asked for {_shown(begin_at)}, began at {_shown(began_at)}: {why}"


def _shown(at: datetime) -> str:
    here = at.astimezone()
    return f"{here:%Y-%m-%d %H:%M:%S}" if here.second else f"{here:%Y-%m-%d %H:%M}"
