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
