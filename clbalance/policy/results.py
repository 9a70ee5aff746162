"""Which nodes a job went well on, and which way it went on the others: each node in exactly one set. Pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from clbalance.job import Cancelled, JobState, NotStarted, Outcome
from clbalance.model import NodeName, Plan, Unfit
from clbalance.policy.verdict import state_of


class Result(StrEnum):
    """What the sets are called, in `@clb:failed` and `@clb:failed-17`."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    UNREACHABLE = "unreachable"
    NOT_STARTED = "notstarted"


_BY_STATE = {
    JobState.COMPLETED: Result.OK,
    JobState.FAILED: Result.FAILED,
    JobState.OUT_OF_MEMORY: Result.FAILED,
    JobState.TIMEOUT: Result.TIMEOUT,
    JobState.CANCELLED: Result.CANCELLED,
    JobState.NODE_FAIL: Result.UNREACHABLE,
    JobState.RUNNING: Result.UNREACHABLE,  # as far as we know: its node does not answer
}


def result_of(outcome: Outcome) -> Result:
    """Of one copy. What never ran is not what failed, whoever decided that."""
    match outcome.end:
        case NotStarted():
            return Result.NOT_STARTED
        case Cancelled() if outcome.seconds == 0:
            return Result.NOT_STARTED
        case end:
            return _BY_STATE[state_of(end)]


def result_sets(
    outcomes: Sequence[Outcome], candidates: Sequence[NodeName], plan: Plan | None
) -> Mapping[Result, tuple[NodeName, ...]]:
    """All of them, empty ones too.

    A candidate without a copy counts as not started, or unreachable, where it should have had one: where every
    candidate was wanted (`plan.wanted` is None), where no copy was placed at all, and where it refused one.
    """
    sets: dict[Result, list[NodeName]] = {result: [] for result in Result}
    for outcome in outcomes:
        sets[result_of(outcome)].append(outcome.node)
    placed = {outcome.node for outcome in outcomes}
    unfit = {one.node: one for one in plan.unfit} if plan is not None else {}
    wanted_all = not outcomes or plan is None or plan.wanted is None
    for node in candidates:
        if node not in placed and (wanted_all or _has_refused(unfit.get(node))):
            sets[_without_copy(unfit.get(node))].append(node)
    return {result: tuple(nodes) for result, nodes in sets.items()}


def _has_refused(unfit: Unfit | None) -> bool:
    return unfit is not None and unfit.filter == "admission"


def _without_copy(unfit: Unfit | None) -> Result:
    return Result.UNREACHABLE if unfit is not None and unfit.filter == "silent" else Result.NOT_STARTED
