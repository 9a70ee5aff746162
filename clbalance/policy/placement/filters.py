"""Filter: which nodes fit a request, and why the others do not. Pure.

Input: an answer. Output: the node's load if it fits, else `Unfit` by the first failed filter, in this file's order.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, assert_never

from clbalance.errors import ExpressionError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Answer, Cause, Measured, Request, Silent, Snapshot, Unfit, Unknown
from clbalance.model.plugins import CheckState
from clbalance.model.request import UNCONSTRAINED
from clbalance.policy.allocations import binding_drain, drain_reason
from clbalance.policy.placement.capacity import InsufficientResource, insufficient_resource
from clbalance.policy.placement.job_needs import unfit_for_jobs
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import SetLimit, breaches, limits_of
from clbalance.policy.site.rules import SiteFilter
from clbalance.policy.slurm.nodes import why_no_jobs

NOT_ASKED: Final = "not asked"
"""The filter that nodes fail which were not asked: a few others were enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterInput:
    """Everything that nodes are checked against."""

    request: Request
    limits: tuple[SetLimit, ...]
    stale: str | None
    now: datetime
    rules: tuple[SiteFilter, ...] = ()
    """Filters of installed packages."""


def filter_input(snapshot: Snapshot, request: Request, policy: Policy, now: datetime) -> FilterInput:
    """The input of `unfit_reason`, computed once for all nodes of a snapshot."""
    return FilterInput(
        request=request,
        limits=() if request.constraints.force else limits_of(policy.thresholds),
        stale=_staleness(snapshot.taken_at, policy.max_age_s, now),
        now=now,
        rules=() if request.constraints.force else policy.rules.filters,
    )


def unfit_reason(answer: Answer, asked: FilterInput, load: NodeLoad | Unknown | None = None) -> NodeLoad | Unfit:
    """The load of a node that fits, or why it does not fit; `load`: its load, if computed already."""
    if answer.node in asked.request.excluded:
        return Unfit(node=answer.node, filter="excluded", reason="excluded")
    match answer:
        case Silent(cause=cause, reason=reason):
            which = NOT_ASKED if cause is Cause.NOT_ASKED else "silent"
            return Unfit(node=answer.node, filter=which, reason=cause.value, detail=reason)
        case Measured() if asked.stale is not None:
            return Unfit(node=answer.node, filter="stale", reason="stale", detail=asked.stale)
        case Measured():
            return _measured_verdict(answer, asked, load)
        case _:
            assert_never(answer)


def _measured_verdict(answer: Measured, asked: FilterInput, known: NodeLoad | Unknown | None) -> NodeLoad | Unfit:
    if unused := _out_of_use(answer, asked):
        return unused
    if asked.request.needs_python and (lacking := unfit_for_jobs(answer)):
        return Unfit(node=answer.node, filter=lacking.filter, reason=lacking.reason, detail=lacking.detail)
    load = effective_load(answer) if known is None else known
    if isinstance(load, Unknown):
        return Unfit(node=answer.node, filter="load", reason="load unknown", detail=load.reason)
    # User constraints come first: that a node is busy does not matter if the user did not want it.
    if (
        short := unmet_constraint(load, asked.request)
        or _past_limits(load, asked.limits)
        or insufficient_resource(load, asked.request)
        or _refused_by_rules(load, asked)
    ):
        return Unfit(node=answer.node, filter=short.filter, reason=short.reason, detail=short.detail)
    return load


def _out_of_use(answer: Measured, asked: FilterInput) -> Unfit | None:
    """Why nobody should use it now, although it answers."""
    force = asked.request.constraints.force
    if mark := binding_drain(answer.reading, force=force):
        return Unfit(node=answer.node, filter="drained", reason="drained", detail=drain_reason(mark, asked.now))
    if force:
        return None
    if said := why_no_jobs(answer.slurm):
        return Unfit(node=answer.node, filter="slurm", reason="out of service in Slurm", detail=said)
    if answer.suspect:
        return Unfit(node=answer.node, filter="suspect", reason="suspect", detail=answer.suspect)
    for check in answer.site.failed(CheckState.CRITICAL):
        return Unfit(node=answer.node, filter="check", reason=f"check {check.name} critical", detail=check.text)
    return None


def _past_limits(load: NodeLoad, limits: tuple[SetLimit, ...]) -> InsufficientResource | None:
    past = breaches(load, limits) if limits else ()
    if not past:
        return None
    details = ", ".join(breach.detail for breach in past)
    return InsufficientResource(filter="thresholds", reason=past[0].reason, detail=details)


def _refused_by_rules(load: NodeLoad, asked: FilterInput) -> InsufficientResource | None:
    """Last: only nodes that would take the job are shown to plug-ins."""
    for rule in asked.rules:
        match rule.unfit(load.answer, asked.request):
            case None:
                continue
            case Unknown(reason=reason):
                return InsufficientResource(filter="plug-in", reason=f"filter {rule.name} failed", detail=reason)
            case reason:
                return InsufficientResource(filter="plug-in", reason=reason, detail=f"says the filter {rule.name}")
    return None


def _staleness(taken_at: datetime, max_age_s: float, now: datetime) -> str | None:
    """Why the snapshot is too old to be used; None: it is not."""
    age_s = (now - taken_at).total_seconds()
    if age_s > max_age_s:
        return f"measured {age_s:.0f} s ago, which is more than {max_age_s:g} s"
    # Otherwise an old snapshot would stay fresh after the clock was set back, until the clock caught up.
    if age_s < -max_age_s:
        return f"measured {-age_s:.0f} s in the future: the clock of this machine was set back"
    return None


# -- user constraints, whatever the load: taints, `--where`, `--near`, `--apart`, `--same`
#
# An unknown value makes a node unfit with that reason, also in a negated condition.


def unmet_constraint(load: NodeLoad, request: Request) -> InsufficientResource | None:
    """The first constraint that the node does not meet; None: it meets all."""
    if request.constraints is UNCONSTRAINED and not load.answer.taints:
        return None
    return next((found for find in _LACKS if (found := find(load, request))), None)


def _tainted(load: NodeLoad, request: Request) -> InsufficientResource | None:
    taints = load.answer.taints
    if not taints or taints <= request.constraints.tolerated:
        return None
    message = ", ".join(sorted(taints - request.constraints.tolerated))
    return InsufficientResource(
        filter="taints", reason=f"tainted {message}", detail=f"`--tolerate {message.partition(',')[0]}` allows it"
    )


def _where(load: NodeLoad, request: Request) -> InsufficientResource | None:
    if not request.constraints.where:
        return None
    from clbalance.policy.expressions.where import parse_where  # few use it

    try:
        unmet = parse_where(request.constraints.where, external=load.answer.site.indices).unmet(load.answer)
    except ExpressionError as error:  # it was submitted with indices of the site that these settings lack
        return InsufficientResource(filter="where", reason="--where not understood", detail=error.message)
    return None if unmet is None else InsufficientResource(filter="where", reason=unmet.reason, detail=unmet.detail)


def _near(load: NodeLoad, request: Request) -> InsufficientResource | None:
    for name in request.constraints.near:
        if isinstance(load.answer.reading.leases, Unknown):
            return InsufficientResource(
                filter="near",
                reason=f"job {name} unknown",
                detail=load.answer.reading.leases.reason,
            )
        if all(allocation.name != name for _, allocation in _named_allocations(load)):
            return InsufficientResource(filter="near", reason=f"without job {name}", detail="")
    return None


def _apart(load: NodeLoad, request: Request) -> InsufficientResource | None:
    for name in request.constraints.apart:
        if isinstance(load.answer.reading.leases, Unknown):
            return InsufficientResource(
                filter="apart",
                reason=f"job {name} unknown",
                detail=load.answer.reading.leases.reason,
            )
        whose = next((whose for whose, allocation in _named_allocations(load) if allocation.name == name), None)
        if whose is not None:
            return InsufficientResource(filter="apart", reason=f"running job {name}", detail=whose)
        unread = next(
            (lease.allocation.reason for lease in load.answer.reading.leases if isinstance(lease.allocation, Unknown)),
            None,
        )
        if unread is not None:
            return InsufficientResource(filter="apart", reason=f"job {name} unknown", detail=unread)
    return None


def _named_allocations(load: NodeLoad) -> Iterator[tuple[str, Allocation]]:
    """Job name and allocation of each lease and placement on the node."""
    leases = load.answer.reading.leases
    for lease in () if isinstance(leases, Unknown) else leases:
        if isinstance(lease.allocation, Allocation):
            yield f"of uid {lease.uid}", lease.allocation
    for allocation in load.answer.placed:
        yield "placed a moment ago", allocation


def _unlabelled(load: NodeLoad, request: Request) -> InsufficientResource | None:
    label = request.constraints.same
    if not label or label in load.answer.labels:
        return None
    return InsufficientResource(filter="same", reason=f"no label {label}", detail="")


_LACKS: tuple[Callable[[NodeLoad, Request], InsufficientResource | None], ...] = (
    _tainted,
    _where,
    _near,
    _apart,
    _unlabelled,
)
