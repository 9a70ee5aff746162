"""From the record of a run: its nodes by result, and whether another text of its playbook can go on with it. Pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from clbalance.model import NodeName
from clbalance.model.play_run import NodeProgress, NodeState, StepList, StepState
from clbalance.model.playbook import Playbook
from clbalance.policy.play.schedule import count_of
from clbalance.policy.play.turn import may_repeat


class PlayNodeSet(StrEnum):
    """The node sets of a run, as groups of the source `clb`."""

    OK = "play-ok"
    FAILED = "play-failed"
    NOT_STARTED = "play-notstarted"


INTERRUPTED: Final = "interrupted"
"""Of a node whose turn was left in the middle, and where no step may have run."""

_RESULTS = {
    NodeState.OK: PlayNodeSet.OK,
    NodeState.FAILED: PlayNodeSet.FAILED,
    NodeState.UNCERTAIN: PlayNodeSet.FAILED,
    NodeState.RUNNING: PlayNodeSet.FAILED,
    NodeState.NOT_STARTED: PlayNodeSet.NOT_STARTED,
    NodeState.LEFT_OUT: PlayNodeSet.NOT_STARTED,
}


def play_sets(progress: Sequence[NodeProgress]) -> Mapping[PlayNodeSet, tuple[NodeName, ...]]:
    """Each node of a run without a living process, in exactly one set. A turn that was interrupted has failed."""
    return {result: tuple(one.node for one in progress if _RESULTS[one.state] is result) for result in PlayNodeSet}


def state_left(one: NodeProgress, playbook: Playbook | None) -> str:
    """The node's state once no process has the run: a turn in the middle is interrupted, or uncertain.

    `playbook` None: it cannot be read, so each step may have run.
    """
    if one.state is not NodeState.RUNNING:
        return one.state.value
    last = one.records[-1] if one.records else None
    if last is None or (last.ended is not None and last.ended.state is not StepState.UNKNOWN):
        return INTERRUPTED
    steps = () if playbook is None else playbook.steps_of(last.steps)
    is_harmless = last.index < len(steps) and may_repeat(steps[last.index])
    return INTERRUPTED if is_harmless else NodeState.UNCERTAIN.value


def step_name(playbook: Playbook | None, steps: StepList, index: int) -> str:
    """The name of a step; without a readable playbook, its place."""
    names = () if playbook is None else tuple(step.name for step in playbook.steps_of(steps))
    return names[index] if index < len(names) else f"{steps.value}[{index}]"


def moved_step(before: Playbook, now: Playbook, progress: Sequence[NodeProgress]) -> str:
    """A step that was begun and is not at its place in the changed text; empty: the run can go on by it."""
    begun = sorted({(record.steps, record.index) for one in progress for record in one.records})
    for steps, index in begun:
        name = step_name(before, steps, index)
        if name != step_name(now, steps, index):
            return name
    return ""


def is_canary_passed(playbook: Playbook, progress: Sequence[NodeProgress], *, paused_to_ask: bool) -> bool:
    """Whether the others follow without a further look at the canary: they have begun, or somebody was asked."""
    canary = playbook.rollout.canary
    if canary is None:
        return False
    counted = [one for one in progress if one.state is not NodeState.LEFT_OUT]
    size = count_of(canary.nodes, len(progress))
    has_ended = all(one.state in (NodeState.OK, NodeState.UNCERTAIN) for one in counted[:size])
    others_begun = any(one.state is not NodeState.NOT_STARTED for one in counted[size:])
    return others_begun or (paused_to_ask and has_ended)
