"""What becomes of a job that nobody has in hand and whose attempt has ended: over, or waiting in the queue. Pure.

Enters: its record, what it may do again, how every copy of it ended in every attempt, and a move that was meant. What
went before is counted from there, so it does not matter which process looks, nor how often (docs/design/rebalance.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from clbalance.job import (
    Cancelled,
    CopyRecord,
    Exited,
    JobRecord,
    JobState,
    NodeFailed,
    NotStarted,
    Outcome,
    Tries,
)
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.moves import MoveOrder, MoveStage
from clbalance.policy.again import again
from clbalance.policy.elsewhere import why_elsewhere
from clbalance.policy.exit_code import run_exit_code
from clbalance.policy.moved import asked_to_go_on, goes_on
from clbalance.policy.verdict import gravest, has_failed, reason_of, state_of, why_ended

_FOR: Final = "waits for `clbalance rebalance`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """So it has ended, and that is all."""

    state: JobState
    reason: str
    rc: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """It is queued, and why."""

    reason: str


Afterwards: TypeAlias = Over | Waits


def afterwards(
    record: JobRecord,
    tries: Tries,
    outcomes: tuple[Outcome, ...],
    copies: Sequence[CopyRecord],
    move: MoveOrder | None,
    *,
    cancelled: bool,
) -> Afterwards:
    """`outcomes`: how the copies of the current attempt ended, all of them and at least one. `cancelled`: by its user.

    `copies` are those of all attempts; of earlier ones failures are counted.
    """
    over = _over(outcomes)
    never = never_started(outcomes)
    if cancelled:
        return replace(over, state=JobState.CANCELLED, reason="cancelled") if never and record.queued else over
    if move is not None and move.attempt == record.attempt and _goes_on(outcomes, move, tries, never=bool(never)):
        return Waits(reason=f"was being moved to {move.dst}; {_FOR}")
    failures, node_failures = _failed_before(record, tries, copies)
    once_more = again(tries, outcomes, failures=failures, node_failures=node_failures)
    if once_more is not None:
        return Waits(reason=f"{once_more.reason}; {_FOR}")
    if never and (record.queued or (record.attempt > 1 and _may_run_again(tries))):
        return Waits(reason=f"{never}; {_FOR}")
    return over


def why_it_waited(reason: str) -> str:
    """Of a job that waits, told by `rebalance` itself: not that it waits for `rebalance`."""
    return reason.removesuffix(f"; {_FOR}")


def never_started(outcomes: Sequence[Outcome]) -> str:
    """Why the job has not begun anywhere, through no fault of its own; empty where it has, or cannot be executed."""
    void = [one for one in outcomes if isinstance(one.end, NotStarted)]
    others = [one for one in outcomes if not isinstance(one.end, NotStarted | Cancelled)]
    if others or not void or any(isinstance(one.end, NotStarted) and one.end.rc is not None for one in void):
        return ""
    return f"{reason_of(void[0].end)} on {void[0].node}"


def where_not(tries: Tries, copies: Sequence[CopyRecord]) -> Mapping[NodeName, str]:
    """Nodes where it is not started again while others fit, and why: it failed there, say, or was moved away."""
    return {
        copy.intent.node: why_elsewhere(one.end)
        for copy in copies
        if (one := copy.outcome) is not None
        and (isinstance(one.end, Cancelled) or (has_failed(one.end) and not _asked_for(one, tries)))
    }


def _over(outcomes: tuple[Outcome, ...]) -> Over:
    worst = gravest(outcomes)
    assert worst is not None, "asked of a job without copies"
    return Over(state=state_of(worst.end), reason=why_ended(worst), rc=run_exit_code(outcomes))


def _goes_on(outcomes: Sequence[Outcome], move: MoveOrder, tries: Tries, *, never: bool) -> bool:
    """Whether it ended since it was to go elsewhere; what could not even start was on its way as well."""
    if never:
        return move.stage is MoveStage.MEANT
    return all(goes_on(one.end, move, tries) for one in outcomes)


def _failed_before(record: JobRecord, tries: Tries, copies: Sequence[CopyRecord]) -> tuple[int, int]:
    """How many earlier attempts failed, and how many their nodes took away; a start that came to nothing is neither."""
    attempts: dict[int, list[Outcome]] = {}
    for copy in copies:
        if copy.attempt < record.attempt and copy.outcome is not None:
            attempts.setdefault(copy.attempt, []).append(copy.outcome)
    failures = node_failures = 0
    for outcomes in attempts.values():
        states = {state_of(one.end) for one in outcomes if not _asked_for(one, tries)}
        node_failures += any(isinstance(one.end, NodeFailed) for one in outcomes)
        failures += JobState.FAILED in states and not never_started(outcomes)
    return failures, node_failures


def _asked_for(outcome: Outcome, tries: Tries) -> bool:
    """Whether it ended by a word of the job's own that it be started again; that is no failure."""
    end = outcome.end
    return (isinstance(end, Exited) and end.rc in tries.requeue_exits) or asked_to_go_on(end, tries)


def _may_run_again(tries: Tries) -> bool:
    return bool(tries.requeue or tries.requeue_exits or tries.retry or tries.checkpoint or tries.queue)
