"""Whether a step that is a node's next one may begin now: `throttle`, `run_once`, and drains that wait. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import StepEnded, StepRecord, StepState
from clbalance.model.playbook import Playbook
from clbalance.policy.play.turn import BeginStep, InStep, Turn, TurnNext, TurnOver, may_repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """The step waits. `until`: for a time; None: for another node."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOver:
    """A `run_once` step has ended on another node: so it has for this one."""

    ended: StepEnded


Gate: TypeAlias = BeginStep | NotYet | TakeOver


def gate(
    playbook: Playbook,
    begin: BeginStep,
    others: Mapping[NodeName, TurnNext],
    turns: Iterable[Turn],
    now: datetime,
    *,
    another_ended: bool = False,
) -> Gate:
    """What becomes of `begin`. `others`: what the other nodes do now. `another_ended`: a turn, since it was refused."""
    if begin.not_before is not None and now < begin.not_before and not (begin.refused and another_ended):
        return NotYet(until=begin.not_before)
    step = playbook.steps_of(begin.steps)[begin.index]
    here = [one for one in others.values() if _is_at(one, begin)]
    if step.run_once and begin.attempt == 1:
        if (took := _ran_once(playbook, begin, turns)) is not None:
            return took
        if here:
            return NotYet()
    if step.throttle is not None and len(here) >= step.throttle:
        return NotYet()
    return begin


def _is_at(following: TurnNext, begin: BeginStep) -> bool:
    """Whether another node is in this step, or about to repeat it."""
    match following:
        case InStep(record=record):
            return (record.steps, record.index) == (begin.steps, begin.index)
        case BeginStep():
            return following.attempt > 1 and (following.steps, following.index) == (begin.steps, begin.index)
        case TurnOver():
            return False


def _ran_once(playbook: Playbook, begin: BeginStep, turns: Iterable[Turn]) -> TakeOver | None:
    """The last end of the step on the node that ran it."""
    ran = [
        record
        for turn in turns
        for record in (*(one for one in turn.earlier if _is_ok(one)), *turn.records)
        if (record.steps, record.index) == (begin.steps, begin.index) and _counts(playbook, record)
    ]
    if not ran:
        return None
    first = ran[0]
    assert first.ended is not None
    on = f"ran once, on {first.node}"
    reason = f"{on}: {first.ended.reason}" if first.ended.reason else on
    return TakeOver(ended=StepEnded(state=first.ended.state, reason=reason, result=first.ended.result, changed=False))


def _is_ok(record: StepRecord) -> bool:
    return record.ended is not None and record.ended.state is StepState.OK


def _counts(playbook: Playbook, record: StepRecord) -> bool:
    """Whether it is final: it ended, and is not tried again. A step that was skipped on a node has not run."""
    if record.ended is None or record.ended.state in (StepState.SKIPPED, StepState.REFUSED, StepState.LEFT_OUT):
        return False
    step = playbook.steps_of(record.steps)[record.index]
    is_tried_again = record.ended.state is StepState.FAILED or (
        record.ended.state is StepState.UNKNOWN and may_repeat(step)
    )
    return not (is_tried_again and record.attempt <= step.retries)
