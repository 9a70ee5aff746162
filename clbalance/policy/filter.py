"""Which nodes may be used at all, and why not the others.

Enters: an answer. Leaves: its load where the node fits, else `Unfit`, by the first filter that it fails, in the order
of this file.
"""

from datetime import datetime
from typing import assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Measured, Request, Silent, Snapshot, Unfit, Unknown
from clbalance.policy.capacity import Lack, lack
from clbalance.policy.drain import binding_drain, drain_reason
from clbalance.policy.effective import Load, effective_load
from clbalance.policy.policies import Policy
from clbalance.policy.suited import unsuited
from clbalance.policy.thresholds import SetLimit, breaches, limits_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every node is held against."""

    request: Request
    limits: tuple[SetLimit, ...]
    stale: str | None
    now: datetime


def asked_of(snapshot: Snapshot, request: Request, policy: Policy, now: datetime) -> Asked:
    """What `verdict` needs to know, once for all nodes of a snapshot."""
    return Asked(
        request=request,
        limits=limits_of(policy.thresholds),
        stale=_staleness(snapshot.taken_at, policy.max_age_s, now),
        now=now,
    )


def verdict(answer: Answer, asked: Asked, load: Load | Unknown | None = None) -> Load | Unfit:
    """The load of a node that fits, or why it does not; `load`: its own, where it is known already."""
    if answer.node in asked.request.excluded:
        return Unfit(node=answer.node, filter="excluded", reason="excluded")
    match answer:
        case Silent(cause=cause, why=why):
            return Unfit(node=answer.node, filter="silent", reason=cause.value, detail=why)
        case Measured() if asked.stale is not None:
            return Unfit(node=answer.node, filter="stale", reason="stale", detail=asked.stale)
        case Measured():
            return _measured_verdict(answer, asked, load)
        case _:
            assert_never(answer)


def _measured_verdict(answer: Measured, asked: Asked, known: Load | Unknown | None) -> Load | Unfit:
    if mark := binding_drain(answer.reading, asked.now):
        return Unfit(node=answer.node, filter="drained", reason="drained", detail=drain_reason(mark, asked.now))
    if answer.suspect:
        return Unfit(node=answer.node, filter="suspect", reason="suspect", detail=answer.suspect)
    load = effective_load(answer) if known is None else known
    if isinstance(load, Unknown):
        return Unfit(node=answer.node, filter="load", reason="load unknown", detail=load.why)
    # What was wished for first: that a node is busy says little where it was not meant.
    if short := unsuited(load, asked.request) or _past_limits(load, asked.limits) or lack(load, asked.request):
        return Unfit(node=answer.node, filter=short.filter, reason=short.reason, detail=short.detail)
    python = answer.reading.python
    if asked.request.needs_python and isinstance(python, Unknown):
        return Unfit(node=answer.node, filter="python", reason="no python3", detail=python.why)
    return load


def _past_limits(load: Load, limits: tuple[SetLimit, ...]) -> Lack | None:
    past = breaches(load, limits)
    if not past:
        return None
    details = ", ".join(breach.detail for breach in past)
    return Lack(filter="thresholds", reason=past[0].reason, detail=details)


def _staleness(taken_at: datetime, max_age_s: float, now: datetime) -> str | None:
    """Why nothing in the snapshot counts any more, or None."""
    age_s = (now - taken_at).total_seconds()
    if age_s > max_age_s:
        return f"measured {age_s:.0f} s ago, which is more than {max_age_s:g} s"
    # A wall clock that was set back would otherwise keep an old snapshot fresh until it caught up.
    if age_s < -max_age_s:
        return f"measured {-age_s:.0f} s in the future: the clock of this machine was set back"
    return None
