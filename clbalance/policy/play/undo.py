"""The rollback of an earlier run: what its turns do, and on which nodes. Pure.

done, failed or interrupted       rolled back, the last one first
rolled back already               never again
a step may have run there         only if the node is named: what it began may go on
nothing begun but a drain         nothing to roll back
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import NodeProgress, NodeState, PlayRun, Result
from clbalance.model.playbook import Playbook
from clbalance.policy.play.resume import uncertain_step
from clbalance.policy.play.turn import Turn, is_changed, results_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """The nodes to roll back, in the order of their turns, and the others, each with its reason."""

    nodes: tuple[NodeName, ...] = ()
    registered: Mapping[NodeName, Mapping[str, Result]] = field(default_factory=dict)
    """What their steps have registered."""
    left_out: Mapping[NodeName, str] = field(default_factory=dict)


def playbook_of(playbook: Playbook, run: PlayRun) -> Playbook:
    """What the run carries out: the playbook, or its rollback."""
    return playbook if run.rolls_back is None else rollback_of(playbook)


def rollback_of(playbook: Playbook) -> Playbook:
    """A playbook whose turns roll back: drain, the steps of `rollback`, health, resume.

    It has no canary: the way back is known, and should not wait.
    """
    before = tuple(step for step in playbook.steps if step.path == "drain")
    after = tuple(step for step in playbook.steps if step.path in ("health", "resume"))
    rollout = replace(playbook.rollout, canary=None)
    return replace(playbook, steps=(*before, *playbook.rollback, *after), rollback=(), rollout=rollout)


def undo(
    playbook: Playbook,
    progress: Sequence[NodeProgress],
    *,
    rolled_back: Mapping[NodeName, NodeState],
    named: Collection[NodeName] = (),
) -> Undo:
    """`playbook`: as it was run. `rolled_back`: how earlier rollbacks of the run have left nodes. `named`: by hand."""
    reasons = {one.node: _why_not(playbook, one, rolled_back.get(one.node), named) for one in progress}
    nodes = tuple(one.node for one in reversed(progress) if not reasons[one.node])
    return Undo(
        nodes=nodes,
        registered=registered_by(playbook, progress),
        left_out={node: reason for node, reason in reasons.items() if reason},
    )


def registered_by(playbook: Playbook, progress: Sequence[NodeProgress]) -> Mapping[NodeName, Mapping[str, Result]]:
    """The results that the steps of each node have registered."""
    return {one.node: results_of(playbook, Turn(node=one.node, records=one.records))[0] for one in progress}


def _why_not(playbook: Playbook, one: NodeProgress, earlier: NodeState | None, named: Collection[NodeName]) -> str:
    """Why the node is not rolled back; empty: it is."""
    if one.rolled_back or earlier is NodeState.OK:
        return "its rollback has run already"
    if not is_changed(playbook, one.records):
        return "nothing was done there"
    if one.node in named:
        return ""
    if earlier in (NodeState.UNCERTAIN, NodeState.RUNNING):
        return "a step of an earlier rollback may have run; `-w` does it nevertheless"
    uncertain = one.state is not NodeState.OK and uncertain_step(playbook, one)
    return f"{uncertain}; `-w` does it nevertheless" if uncertain else ""


def last_states(rollbacks: Sequence[Sequence[NodeProgress]]) -> Mapping[NodeName, NodeState]:
    """How the rollbacks of a run, the oldest first, have left the nodes that they have begun."""
    return {one.node: one.state for progress in rollbacks for one in _begun(progress)}


def _begun(progress: Sequence[NodeProgress]) -> Iterator[NodeProgress]:
    return (one for one in progress if one.state not in (NodeState.NOT_STARTED, NodeState.LEFT_OUT))
