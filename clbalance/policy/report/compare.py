"""Two reports side by side: before and after a date. Figures that grow with time are per day. Pure."""

from collections.abc import Iterator, Mapping

from clbalance.model.job_record import JobState
from clbalance.model.report import Change, Part, PeriodReport

_DAY_S = 86_400.0


def changes(before: PeriodReport, after: PeriodReport) -> tuple[Change, ...]:
    """The headline figures of both."""
    figures = zip(_figures(before), _figures(after), strict=True)
    return tuple(Change(name=name, unit=unit, before=old, after=new) for (name, unit, old), (_, _, new) in figures)


def _figures(report: PeriodReport) -> Iterator[tuple[str, str, float | None]]:
    """Name, unit and value of each figure."""
    use, days = report.total, report.period.seconds / _DAY_S
    parts: Mapping[str, Part] = {
        "seen": use.seen,
        "available": use.available,
        "cpus allocated": use.cpu_allocated,
        "cpus used": use.cpu_used,
        "GPUs allocated": use.gpu_allocated,
        "GPUs used": use.gpu_used,
        "leased GPUs idle": use.gpu_idle,
    }
    for name, part in parts.items():
        yield name, "pct", part.pct
    idle_s = use.gpu_idle.value
    yield "idle GPU-hours a day", "hours", None if idle_s is None or not days else idle_s / 3600 / days
    ended = sum(report.ended.values())
    failed = ended - report.ended.get(JobState.COMPLETED.value, 0)
    yield "jobs ended a day", "count", ended / days if days else None
    yield "jobs that failed", "pct", 100.0 * failed / ended if ended else None
    yield "restarts a day", "count", report.restarts / days if days else None
    yield "wait, median", "s", report.waits.p50_s
    yield "wait, 95 %", "s", report.waits.p95_s
    cost = use.cost.value
    yield "cost a day", "money", None if cost is None or not days else cost / days
