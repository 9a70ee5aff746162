"""Node states in one word, and all reasons why nodes do not fit in one line. Pure."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Cause, Measured, Plan, Request, Silent, Unknown
from clbalance.model.plugins import CheckState
from clbalance.policy.allocations import binding_drain, drain_reason
from clbalance.policy.placement.capacity import LIMITS, insufficient_resource
from clbalance.policy.placement.job_needs import unfit_for_jobs
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.thresholds import Thresholds, breaches, limits_of
from clbalance.policy.slurm.nodes import has_jobs, is_drained, why_no_jobs


class NodeState(StrEnum):
    """State of a node for placement."""

    UP = "up"
    BUSY = "busy"
    """Past a threshold, or fully allocated: it works, and takes no more jobs."""
    DRAINING = "draining"
    """Takes no new jobs; jobs with a lease go on."""
    DRAINED = "drained"
    """Takes no new jobs, and has no lease left."""
    SUSPECT = "suspect"
    """It did not answer several times in a row, and is still silent or has not answered often enough since."""
    UNFIT = "unfit"
    """It answers, but can take no job: it has no python3 or no room for a job's folder, for example."""
    UNKNOWN = "unknown"
    """It did not answer, or its answer lacks what placement needs."""
    DOWN = "down"
    """It cannot be reached at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A node's state, the reason or an empty string, and the indices past their thresholds."""

    state: NodeState
    reason: str | None = None
    violated: frozenset[str] = frozenset()


_NO_WAY_IN = frozenset({Cause.DNS, Cause.UNREACHABLE, Cause.REFUSED})


def node_state(answer: Answer, thresholds: Thresholds, now: datetime, cpus: float = 1.0) -> Condition:
    """The state to show. A plain job (one cpu) is placed on a node only if it is `UP` and has no taint.

    `cpus`: request of a plain job, if not one.
    """
    match answer:
        case Silent(cause=cause, reason=reason):
            return _silent_state(cause, cause.because(reason), answer.suspect)
        case Measured():
            found = (
                _drained_state(answer, now)
                or _state_in_slurm(answer)
                or _measured_state(answer, thresholds, Request(cpus=cpus))
            )
            return _with_warnings(found, answer)
        case _:
            assert_never(answer)


def _with_warnings(found: Condition, answer: Measured) -> Condition:
    """The state, with the warnings of health checks in its reason."""
    warnings = [check.message for check in answer.site.failed(CheckState.WARNING)]
    return replace(found, reason="; ".join(filter(None, [found.reason, *warnings]))) if warnings else found


def _silent_state(cause: Cause, reason: str, suspect: str) -> Condition:
    """`DOWN` stays `DOWN` for a suspect node too; the reason has both."""
    message = f"{suspect}: {reason}" if suspect else reason
    if cause in _NO_WAY_IN:
        return Condition(state=NodeState.DOWN, reason=message)
    return Condition(state=NodeState.SUSPECT if suspect else NodeState.UNKNOWN, reason=message)


def _drained_state(answer: Measured, now: datetime) -> Condition | None:
    mark = binding_drain(answer.reading)
    if mark is None:
        return None
    # With unknown leases, jobs may still be running.
    state = NodeState.DRAINED if answer.reading.leases == () else NodeState.DRAINING
    return Condition(state=state, reason=drain_reason(mark, now))


def _state_in_slurm(answer: Measured) -> Condition | None:
    if answer.slurm is None or not (said := why_no_jobs(answer.slurm)):
        return None
    if not is_drained(answer.slurm):
        return Condition(state=NodeState.UNFIT, reason=f"Slurm: {said}")
    is_free = answer.reading.leases == () and not has_jobs(answer.slurm)
    return Condition(state=NodeState.DRAINED if is_free else NodeState.DRAINING, reason=f"Slurm: {said}")


def _measured_state(answer: Measured, thresholds: Thresholds, plain: Request) -> Condition:
    if answer.suspect:
        return Condition(state=NodeState.SUSPECT, reason=answer.suspect)
    if failed := answer.site.failed(CheckState.CRITICAL):
        return Condition(state=NodeState.UNFIT, reason="; ".join(check.message for check in failed))
    if lacking := unfit_for_jobs(answer):
        is_said = lacking.detail.startswith(lacking.reason)
        return Condition(
            state=NodeState.UNFIT, reason=lacking.detail if is_said else f"{lacking.reason}: {lacking.detail}"
        )
    load = effective_load(answer)
    if isinstance(load, Unknown):
        return Condition(state=NodeState.UNKNOWN, reason=f"load unknown: {load.reason}")
    found = breaches(load, limits_of(thresholds))
    if not found:
        return _unless_full(load, plain)
    past = [breach for breach in found if breach.known]
    return Condition(
        state=NodeState.BUSY if past else NodeState.UNKNOWN,
        reason=", ".join(breach.detail for breach in past or found),
        violated=frozenset(breach.index for breach in past),
    )


def _unless_full(load: NodeLoad, plain: Request) -> Condition:
    short = insufficient_resource(load, plain)
    if short is None or short.filter == LIMITS:  # that is no state of the node
        taints = ", ".join(sorted(load.answer.taints))
        return Condition(state=NodeState.UP, reason=f"tainted {taints}" if taints else None)
    is_known = not isinstance(load.answer.reading.leases, Unknown)
    return Condition(state=NodeState.BUSY if is_known else NodeState.UNKNOWN, reason=f"{short.reason}: {short.detail}")


# -- one line that counts the reasons why too few nodes fit


def unfit_summary(plan: Plan, total: int) -> str:
    """Such as "0/12 nodes fit: 5 load above 0.80, 4 load unknown, 3 excluded".

    `total`: number of named nodes; nodes that are missing in the plan were not probed.
    """
    reasons = Counter(unfit.reason for unfit in plan.unfit)
    if (unasked := total - len(plan.ranked) - len(plan.unfit)) > 0:
        reasons["not asked"] += unasked
    wanted = f", {plan.wanted} wanted" if plan.wanted is not None and plan.wanted > 1 else ""
    head = f"{len(plan.ranked)}/{total} nodes fit{wanted}"
    message = ", ".join(f"{count} {reason}" for reason, count in _most_frequent(reasons))
    return f"{head}: {message}" if message else head


def _most_frequent(reasons: Counter[str]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
