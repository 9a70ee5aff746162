"""Where each node of a run that was stopped or has died goes on: `play --continue`. Pure.

    done                not touched again
    not started         a whole turn; so for those that were left out
    failed              from the step that failed, with all its retries; from the first step if it was rolled back
    in the middle       from the step where it stood
    uncertain           not touched, unless its step may be repeated, or `repeat_uncertain`

A drain that was done is done again: the mark may have gone meanwhile, and if not, that takes a moment.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import NodeProgress, NodeState, StepList, StepRecord, StepState
from clbalance.model.playbook import DrainNode, Playbook, ResumeNode
from clbalance.policy.play.turn import Turn, may_repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued:
    """The start of a run that goes on. `states`: of all its nodes; those that have their turn again are not started."""

    states: Mapping[NodeName, NodeState]
    turns: Mapping[NodeName, Turn]
    """Of the nodes that are not started."""
    uncertain: Mapping[NodeName, str] = field(default_factory=dict)
    """Nodes that are not touched, and which step may have run there."""
    canary_passed: bool = False
    """Nodes after the canary have been touched, or the run has paused to ask about the canary."""


def continued(
    playbook: Playbook,
    progress: Sequence[NodeProgress],
    *,
    repeat_uncertain: bool = False,
    canary_passed: bool = False,
) -> Continued:
    """From the records of a run without a living process. `canary_passed`: it asked, and somebody has continued it."""
    states: dict[NodeName, NodeState] = {}
    turns: dict[NodeName, Turn] = {}
    uncertain: dict[NodeName, str] = {}
    for one in progress:
        if one.state is NodeState.OK:
            states[one.node] = NodeState.OK
        elif (why := uncertain_step(playbook, one)) and not repeat_uncertain:
            states[one.node] = NodeState.UNCERTAIN
            uncertain[one.node] = why
        else:
            states[one.node] = NodeState.NOT_STARTED
            turns[one.node] = Turn(node=one.node, passed=_passed(playbook, one), earlier=one.records)
    return Continued(states=states, turns=turns, uncertain=uncertain, canary_passed=canary_passed)


def uncertain_step(playbook: Playbook, one: NodeProgress) -> str:
    """Which step may have run; empty: none, or it may be repeated."""
    last = one.records[-1] if one.records else None
    if last is None or (last.ended is not None and last.ended.state is not StepState.UNKNOWN):
        return ""
    step = playbook.steps_of(last.steps)[last.index]
    if may_repeat(step):
        return ""
    why = "it was begun, and its end is not known" if last.ended is None else last.ended.reason
    return f"{step.name}: {why}"


def _passed(playbook: Playbook, one: NodeProgress) -> frozenset[int]:
    """The steps that need not be done again."""
    rolled_back = [at for at, record in enumerate(one.records) if record.steps is StepList.ROLLBACK]
    since = one.records[max(rolled_back, default=-1) + 1 :]
    passed = {record.index for record in since if _is_passed(playbook, record)}
    return frozenset(passed - _drains_in_force(playbook, passed))


def _is_passed(playbook: Playbook, record: StepRecord) -> bool:
    if record.ended is None:
        return False
    if record.ended.state is StepState.FAILED:
        return playbook.steps[record.index].ignore_errors
    return record.ended.state in (StepState.OK, StepState.SKIPPED)


def _drains_in_force(playbook: Playbook, passed: Iterable[int]) -> frozenset[int]:
    """The drains after which the node was not resumed."""
    drains: set[int] = set()
    for index in sorted(passed):
        match playbook.steps[index].action:
            case DrainNode():
                drains.add(index)
            case ResumeNode():
                drains.clear()
            case _:
                pass
    return frozenset(drains)
