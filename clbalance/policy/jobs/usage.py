"""What a job has used, and how much that is of what it asked for. Pure."""

from collections.abc import Iterable, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request
from clbalance.model.job_record import FinalUsage, Outcome, Usage


def total_usage(outcomes: Iterable[Outcome]) -> FinalUsage | None:
    """The usage of all copies together; the peak is that of the largest process of any. None: none is known."""
    known = [outcome.usage for outcome in outcomes if outcome.usage is not None]
    if not known:
        return None
    return FinalUsage(
        user_s=sum(one.user_s for one in known),
        system_s=sum(one.system_s for one in known),
        max_rss_bytes=max(one.max_rss_bytes for one in known),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUsage:
    """What all copies of an attempt use or have used. None: not known, or it was not asked for."""

    cpu_s: float | None = None
    mem_bytes: int | None = None
    """Now, of all copies together."""
    max_rss_bytes: int | None = None
    """The most that one process had at a time, of a job that has ended."""
    cpu_share: float | None = None
    """Of the cpus that it asked for, for as long as it ran."""
    mem_share: float | None = None
    """Of the memory that it asked for: what all copies have now, else what the largest process had."""


def usage_so_far(request: Request | None, usage: Usage | None, *, copies: int, seconds: float | None) -> JobUsage:
    """Of a job that runs, from what its nodes say."""
    if usage is None:
        return JobUsage()
    asked_cpus, asked_bytes = (0.0, 0) if request is None else (request.cpus, request.mem_bytes)
    return JobUsage(
        cpu_s=usage.cpu_s,
        mem_bytes=usage.mem_bytes,
        cpu_share=_share(usage.cpu_s, asked_cpus * copies * (seconds or 0.0)),
        mem_share=_share(usage.mem_bytes, asked_bytes * copies),
    )


def usage_in_all(request: Request | None, outcomes: Sequence[Outcome]) -> JobUsage:
    """Of a job that has ended, from what its copies have left. Copies without a known usage are left out."""
    total = total_usage(outcomes)
    if total is None:
        return JobUsage()
    asked_cpus, asked_bytes = (0.0, 0) if request is None else (request.cpus, request.mem_bytes)
    seconds = sum(one.seconds for one in outcomes if one.usage is not None)
    return JobUsage(
        cpu_s=total.cpu_s,
        max_rss_bytes=total.max_rss_bytes,
        cpu_share=_share(total.cpu_s, asked_cpus * seconds),
        mem_share=_share(total.max_rss_bytes, asked_bytes),
    )


def _share(used: float, asked: float) -> float | None:
    return used / asked if asked > 0 else None
