"""The jobs of the journal as a trace."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from clbalance.model.job import Submitted
from clbalance.model.job_record import JobRecord
from clbalance.model.request import UNCONSTRAINED
from clbalance.model.trace import Arrival, Trace, in_order_of_submit, remarks_of


def history_trace(jobs: Iterable[tuple[JobRecord, Submitted | None]]) -> Trace:
    """A trace of the jobs' requests and durations, on any node; jobs that never started are left out.

    A job's time limit is its estimate. A job that still runs never ends.
    """
    notes: Counter[str] = Counter()
    found: list[tuple[datetime, JobRecord, Submitted]] = []
    for record, submitted in jobs:
        if submitted is None:
            notes["that cannot be read any more left out"] += 1
        elif record.started_at is None or not record.nodes:
            notes["that never started left out"] += 1
        else:
            found.append((record.started_at, record, submitted))
    first = min((record.submitted_at for _, record, _ in found), default=None)
    arrivals = [_arrival(first, *one) for one in found] if first is not None else []
    return Trace(arrivals=in_order_of_submit(arrivals), remarks=remarks_of(notes))


def history_until(
    jobs: Iterable[tuple[JobRecord, Submitted | None]], since: datetime, until: datetime
) -> tuple[Trace, float]:
    """The trace of the jobs submitted between the two instants, as they stood at `until`; and that, on its clock.

    So it stays the same while jobs go on. A job from the future, of a clock that was set back, is left out.
    """
    known = [(_as_of(record, until), submitted) for record, submitted in jobs if since <= record.submitted_at <= until]
    trace = history_trace(known)
    submitted_at = {str(record.id): record.submitted_at for record, _ in known}
    first = submitted_at[trace.arrivals[0].job] if trace.arrivals else until
    return trace, (until - first).total_seconds()


def _as_of(record: JobRecord, until: datetime) -> JobRecord:
    started_at, ended_at = record.started_at, record.ended_at
    return replace(
        record,
        started_at=None if started_at is None or started_at > until else started_at,
        ended_at=None if ended_at is None or ended_at > until else ended_at,
    )


def _arrival(first: datetime, started_at: datetime, record: JobRecord, submitted: Submitted) -> Arrival:
    ended_at = record.ended_at
    # A clock may have been set back.
    duration_s = None if ended_at is None else max(0.0, (ended_at - started_at).total_seconds())
    limit_s = submitted.job.time_limit_s
    request = replace(
        submitted.request, pick=len(record.nodes), needs_python=False, excluded=frozenset(), constraints=UNCONSTRAINED
    )
    return Arrival(
        job=str(record.id),
        submit_s=(record.submitted_at - first).total_seconds(),
        duration_s=duration_s,
        estimate_s=duration_s if limit_s is None else limit_s,
        request=request,
    )
