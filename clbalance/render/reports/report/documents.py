"""A report on a period as documents: the values of its JSON, and of the lines of CSV and plain text."""

from collections.abc import Iterator, Mapping, Sequence

from clbalance.model.report import Change, Cost, GroupUse, JobUse, NodesUse, Part, PeriodReport, UserUse
from clbalance.nodeset import fold
from clbalance.policy.report.jobs import WAIT_BOUNDS_S
from clbalance.render.text import Json, finite

REPORT_FIELDS = ("period", "section", "name", "figure", "value")
"""The fields of plain text and CSV, a line for each figure. `figure` is a key of the JSON."""

ALL = "all"
"""The name of the row of all nodes."""


def document(report: PeriodReport) -> dict[str, Json]:
    """The report as JSON."""
    waits = report.waits
    return {
        "since": report.period.since.isoformat(),
        "until": report.period.until.isoformat(),
        "currency": report.currency or None,
        "total": _use(report.total),
        "groups": [_group(one) for one in report.groups],
        "users": [_user(one) for one in report.users],
        "more_users": report.more_users,
        "ended": dict(report.ended),
        "active": dict(report.active),
        "restarts": report.restarts,
        "waits": {
            "started": waits.jobs,
            "p50_s": finite(waits.p50_s),
            "p95_s": finite(waits.p95_s),
            "bounds_s": list(WAIT_BOUNDS_S),
            "counts": list(waits.counts),
        },
        "wasters": [_waster(one) for one in report.wasters],
    }


def rows(report: PeriodReport, period: str) -> Iterator[tuple[Json, ...]]:
    """The `REPORT_FIELDS` of each figure."""
    yield from ((period, "nodes", ALL, key, value) for key, value in _use(report.total).items())
    lists = (
        ("group", [_group(one) for one in report.groups], "name"),
        ("user", [_user(one) for one in report.users], "name"),
        ("waster", [_waster(one) for one in report.wasters], "job"),
    )
    for section, documents, named in lists:
        for one in documents:
            yield from ((period, section, one[named], key, value) for key, value in one.items() if key != named)
    yield from ((period, "jobs", state, "ended", count) for state, count in report.ended.items())
    yield from ((period, "jobs", state, "now", count) for state, count in report.active.items())
    yield period, "jobs", ALL, "restarts", report.restarts
    waits = report.waits
    for figure, value in (("started", waits.jobs), ("wait_p50_s", waits.p50_s), ("wait_p95_s", waits.p95_s)):
        yield period, "jobs", ALL, figure, finite(value)


def change_document(change: Change) -> dict[str, Json]:
    """One figure before and after."""
    return {
        "figure": change.name,
        "unit": change.unit,
        "before": _rounded(change.before),
        "after": _rounded(change.after),
        "change": _rounded(change.change),
    }


def change_rows(changes: Sequence[Change]) -> Iterator[tuple[Json, ...]]:
    """The `REPORT_FIELDS` of each change."""
    return (("change", "nodes", ALL, change.name, _rounded(change.change)) for change in changes)


def _group(group: GroupUse) -> dict[str, Json]:
    return {"name": group.name, **_use(group.use)}


def _use(use: NodesUse) -> dict[str, Json]:
    parts: Mapping[str, Part] = {
        "cpu_allocated": use.cpu_allocated,
        "cpu_used": use.cpu_used,
        "gpu_allocated": use.gpu_allocated,
        "gpu_used": use.gpu_used,
        "gpu_idle": use.gpu_idle,
    }
    found: dict[str, Json] = {
        "node_count": use.nodes,
        "cpus": _rounded(use.cpus),
        "gpus": _rounded(use.gpus),
        "seen_pct": _rounded(use.seen.pct),
        "available_pct": _rounded(use.available.pct),
    }
    for name, part in parts.items():
        found |= {f"{name}_hours": _hours(part.value), f"{name}_pct": _rounded(part.pct)}
    return found | _cost(use.cost)


def _user(user: UserUse) -> dict[str, Json]:
    return {
        "name": user.user,
        "jobs": user.jobs,
        "cpu_hours": _hours(user.cpu_s),
        "cpu_used_hours": _hours(user.cpu_used.value),
        "cpu_efficiency_pct": _rounded(user.cpu_used.pct),
        "gpu_hours": _hours(user.gpu_s),
        "gpu_used_hours": _hours(user.gpu_used.value),
        "gpu_efficiency_pct": _rounded(user.gpu_used.pct),
        "gpu_idle_hours": _hours(user.gpu_idle.value),
        **_cost(user.cost),
    }


def _waster(job: JobUse) -> dict[str, Json]:
    return {
        "job": job.label,
        "name": job.name,
        "user": job.user,
        "node_set": fold(one.node for one in job.held),
        "cpu_hours": _hours(job.cpu_s),
        "cpu_used_hours": _hours(job.cpu_used.value),
        "gpu_hours": _hours(job.gpu_s),
        "gpu_idle_hours": _hours(job.gpu_idle.value),
    }


def _cost(cost: Cost) -> dict[str, Json]:
    return {
        "cost": _rounded(cost.value),
        "unpriced_cpu_hours": _hours(cost.unpriced_cpu_s),
        "unpriced_gpu_hours": _hours(cost.unpriced_gpu_s),
    }


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else _rounded(seconds / 3600)


def _rounded(value: float | None) -> float | None:
    return None if (known := finite(value)) is None else round(known, 6)
