"""The turn of one node: what it does next, by what is recorded of it. Pure.

    steps, one after the other, each with its retries → done
                   └ failed → rollback → failed        └ unknown → uncertain: somebody must look

A node is touched by one step at a time, so the last record says where it stands.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias, assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import NodeState, Result, StepEnded, StepList, StepRecord, StepState
from clbalance.model.playbook import (
    Assert,
    CheckHealth,
    CopyFiles,
    DrainNode,
    FetchFiles,
    Pause,
    Playbook,
    Rebalance,
    ResumeNode,
    Step,
    WaitFor,
)

REFUSED_AGAIN_S: Final = 15.0
"""A drain that the minimum did not allow is tried again after this time, or as soon as another turn has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One node's turn, as far as it has come."""

    node: NodeName
    passed: frozenset[int] = frozenset()
    """Steps that an earlier process of this run has done; they are left out."""
    records: tuple[StepRecord, ...] = ()
    """Of this process, in order. The last one may have no end yet."""
    rolls_back: str = ""
    """Why the node is rolled back although its own turn has not failed; empty: it is not."""
    earlier: tuple[StepRecord, ...] = ()
    """Of earlier processes of this run, for their results."""

    def begun(self, record: StepRecord) -> "Turn":
        """With the begin of an attempt."""
        return replace(self, records=(*self.records, record))

    def ended(self, at: datetime, ended: StepEnded) -> "Turn":
        """With the end of the attempt that runs."""
        last = replace(self.records[-1], ended=ended, ended_at=at)
        return replace(self, records=(*self.records[:-1], last))


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginStep:
    """An attempt at a step is next, not before a time."""

    steps: StepList
    index: int
    attempt: int = 1
    not_before: datetime | None = None
    refused: bool = False
    """It is a drain that the minimum did not allow. It may be tried earlier, once another turn has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InStep:
    """An attempt runs."""

    record: StepRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOver:
    """The turn has ended."""

    state: NodeState
    reason: str = ""
    rolled_back: bool = False


TurnNext: TypeAlias = BeginStep | InStep | TurnOver


def next_of_turn(playbook: Playbook, turn: Turn) -> TurnNext:
    """What the node does next."""
    last = turn.records[-1] if turn.records else None
    if last is not None and last.ended is None:
        return InStep(record=last)
    if last is not None and last.steps is StepList.ROLLBACK:
        return _in_rollback(playbook, turn, last)
    following = _in_steps(playbook, turn, last)
    if isinstance(following, TurnOver) and _must_roll_back(playbook, turn, following):
        return BeginStep(steps=StepList.ROLLBACK, index=0)
    return following


def _in_steps(playbook: Playbook, turn: Turn, last: StepRecord | None) -> TurnNext:
    if turn.rolls_back:
        return TurnOver(state=NodeState.FAILED, reason=turn.rolls_back)
    after = -1 if last is None else last.index
    if last is not None and not isinstance(going := _after_step(playbook, last), _Passed):
        return going
    index = next((one for one in range(after + 1, len(playbook.steps)) if one not in turn.passed), None)
    if index is None:
        return TurnOver(state=NodeState.OK)
    return BeginStep(steps=StepList.STEPS, index=index)


def _in_rollback(playbook: Playbook, turn: Turn, last: StepRecord) -> TurnNext:
    why = turn.rolls_back or why_failed(playbook, turn.records)
    going = _after_step(playbook, last)
    match going:
        case BeginStep():
            return going
        case TurnOver():
            return TurnOver(state=NodeState.FAILED, reason=f"{why}; the rollback failed: {going.reason}")
        case _Passed() if last.index + 1 < len(playbook.steps_of(StepList.ROLLBACK)):
            return BeginStep(steps=StepList.ROLLBACK, index=last.index + 1)
        case _Passed():
            return TurnOver(state=NodeState.FAILED, reason=why, rolled_back=True)
        case _:
            assert_never(going)


class _Passed:
    """The step is done; the next one follows."""


def _after_step(playbook: Playbook, last: StepRecord) -> BeginStep | TurnOver | _Passed:
    """What follows from the last attempt alone."""
    step, ended = playbook.steps_of(last.steps)[last.index], last.ended
    assert ended is not None
    match ended.state:
        case StepState.OK | StepState.SKIPPED:
            return _Passed()
        case StepState.REFUSED:
            return _again(last, last.attempt, REFUSED_AGAIN_S, refused=True)
        case StepState.LEFT_OUT:
            return TurnOver(state=NodeState.LEFT_OUT, reason=ended.reason)
        case StepState.FAILED | StepState.UNKNOWN:
            if last.attempt <= step.retries and (ended.state is StepState.FAILED or may_repeat(step)):
                return _again(last, last.attempt + 1, step.delay_s)
            if ended.state is StepState.UNKNOWN and not (step.ignore_errors and may_repeat(step)):
                return TurnOver(state=NodeState.UNCERTAIN, reason=_at(step, ended))
            return _Passed() if step.ignore_errors else TurnOver(state=NodeState.FAILED, reason=_at(step, ended))
        case _:
            assert_never(ended.state)


def _again(last: StepRecord, attempt: int, after_s: float, *, refused: bool = False) -> BeginStep:
    assert last.ended_at is not None
    not_before = last.ended_at + timedelta(seconds=after_s)
    return BeginStep(steps=last.steps, index=last.index, attempt=attempt, not_before=not_before, refused=refused)


def _must_roll_back(playbook: Playbook, turn: Turn, over: TurnOver) -> bool:
    """Only where there is something to roll back."""
    if over.state is not NodeState.FAILED or not playbook.rollback:
        return False
    return is_changed(playbook, turn.records, turn.passed)


def is_changed(playbook: Playbook, records: Sequence[StepRecord], passed: Collection[int] = ()) -> bool:
    """Whether a step other than a drain was begun. `passed`: steps that were done earlier."""
    begun = {record.index for record in records if record.steps is StepList.STEPS and _did_something(record)}
    return any(not isinstance(playbook.steps[one].action, DrainNode) for one in begun.union(passed))


def _did_something(record: StepRecord) -> bool:
    return record.ended is None or record.ended.state is not StepState.SKIPPED


def why_failed(playbook: Playbook, records: Sequence[StepRecord]) -> str:
    """Which step of the turn has failed last, and why; empty: none has."""
    for record in reversed(records):
        if record.steps is StepList.STEPS and record.ended is not None and record.ended.state is StepState.FAILED:
            return _at(playbook.steps[record.index], record.ended)
    return ""


def _at(step: Step, ended: StepEnded) -> str:
    return f"{step.name}: {ended.reason}" if ended.reason else f"{step.name}: {ended.state.value}"


_FINDS_OUT = (DrainNode, ResumeNode, CopyFiles, FetchFiles, WaitFor, Assert, Pause, CheckHealth, Rebalance)
"""Actions that find out what is to be done, so that beginning them again does no harm."""


def may_repeat(step: Step) -> bool:
    """Whether the step may be begun again if nobody knows whether it ran: it says so, or repeating changes nothing."""
    return step.idempotent or step.runs_in_check or isinstance(step.action, _FINDS_OUT)


# -- what a step may know


def results_of(playbook: Playbook, turn: Turn) -> tuple[Mapping[str, Result], Result | None]:
    """The registered results by name, and that of the last step that ran, at this point of the turn."""
    registered: dict[str, Result] = {}
    last = None
    for record in (*turn.earlier, *turn.records):
        if record.ended is None or record.ended.result is None:
            continue
        last = record.ended.result
        if name := playbook.steps_of(record.steps)[record.index].register:
            registered[name] = last
    return registered, last
