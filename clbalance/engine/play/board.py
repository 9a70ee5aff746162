"""Where each node of a run stands. Every change is recorded first, then told."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from clbalance.engine.play.listener import PlayListener
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import (
    NodeChanged,
    NodeProgress,
    NodeState,
    StepEnded,
    StepList,
    StepRecord,
    StepState,
)
from clbalance.model.playbook import DrainNode, Playbook, ResumeNode
from clbalance.policy.play.resume import Continued
from clbalance.policy.play.schedule import Standing
from clbalance.policy.play.turn import BeginStep, Turn, TurnOver
from clbalance.ports.plays import PlayJournal

_NOT_DRAINED: Final = (StepState.REFUSED, StepState.SKIPPED, StepState.LEFT_OUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    changed: NodeChanged
    ended_at: datetime | None = None


class Board:
    """All nodes of one run: their states and turns."""

    def __init__(
        self, number: int, playbook: Playbook, nodes: tuple[NodeName, ...], journal: PlayJournal, listener: PlayListener
    ) -> None:
        self.nodes = nodes
        self.playbook = playbook
        self.turns = {node: Turn(node=node) for node in nodes}
        self.ended_here = 0
        self.version = 0
        """Counts what scheduling looks at: states, refused drains, rollbacks."""
        self._running: dict[NodeName, None] = {}
        self._number = number
        self._journal = journal
        self._listener = listener
        self._places = {node: _Place(changed=NodeChanged(node=node, state=NodeState.NOT_STARTED)) for node in nodes}

    def go_on(self, before: Continued) -> None:
        """Take over what an earlier process of the run has left."""
        self.turns.update(before.turns)
        for node, state in before.states.items():
            self._places[node] = _Place(changed=NodeChanged(node=node, state=state))
        self.version += 1
        for node, why in before.uncertain.items():
            self._change(NodeChanged(node=node, state=NodeState.UNCERTAIN, reason=why), None)

    # -- changes

    def start(self, node: NodeName) -> None:
        """The node's turn begins; unless another run is at work there, which leaves the node out."""
        other = self._journal.start_turn(self._number, node)
        if other is not None:
            reason = f"run {other} is at work there"
            self._change(NodeChanged(node=node, state=NodeState.LEFT_OUT, reason=reason), None)
            return
        self._changed(NodeChanged(node=node, state=NodeState.RUNNING), None)

    def roll_back(self, node: NodeName, why: str) -> None:
        """The node's turn has ended well, and it is rolled back nevertheless."""
        self.turns[node] = replace(self.turns[node], rolls_back=why)
        self._change(NodeChanged(node=node, state=NodeState.RUNNING, reason=why), None)

    def withdraw(self, node: NodeName) -> None:
        """The turn has done nothing yet, and does not begin now."""
        self.turns[node] = replace(self.turns[node], records=())
        self._change(NodeChanged(node=node, state=NodeState.NOT_STARTED), None)

    def end(self, node: NodeName, over: TurnOver, at: datetime) -> None:
        """The node's turn has ended."""
        self.ended_here += 1
        changed = NodeChanged(node=node, state=over.state, reason=over.reason, rolled_back=over.rolled_back)
        self._change(changed, at)

    def begin_step(self, node: NodeName, begin: BeginStep, at: datetime) -> None:
        """Record that an attempt begins: only then may it."""
        record = StepRecord(node=node, steps=begin.steps, index=begin.index, attempt=begin.attempt, begun_at=at)
        self._journal.write(self._number, record)
        self.turns[node] = self.turns[node].begun(record)
        self.version += begin.refused or begin.steps is StepList.ROLLBACK
        self._listener.step_begins(record, self.playbook.steps_of(record.steps)[record.index])

    def end_step(self, node: NodeName, ended: StepEnded, at: datetime) -> None:
        """Record how the attempt that runs has ended."""
        turn = self.turns[node].ended(at, ended)
        record = turn.records[-1]
        self._journal.write(self._number, record)
        self.turns[node] = turn
        self.version += ended.state is StepState.REFUSED
        self._listener.step_ended(record, self.playbook.steps_of(record.steps)[record.index])

    def _change(self, changed: NodeChanged, ended_at: datetime | None) -> None:
        self._journal.write(self._number, changed)
        self._changed(changed, ended_at)

    def _changed(self, changed: NodeChanged, ended_at: datetime | None) -> None:
        self._places[changed.node] = _Place(changed=changed, ended_at=ended_at)
        self.version += 1
        self._running.pop(changed.node, None)
        if changed.state is NodeState.RUNNING:
            self._running[changed.node] = None
        self._listener.node_changed(changed)

    # -- what holds now

    def state(self, node: NodeName) -> NodeState:
        """The node's state."""
        return self._places[node].changed.state

    @property
    def running(self) -> tuple[NodeName, ...]:
        """The nodes whose turn runs, the first one first."""
        return tuple(self._running)

    def standings(self) -> Mapping[NodeName, Standing]:
        """All nodes, as scheduling sees them."""
        return {node: self._standing(node) for node in self.nodes}

    def _standing(self, node: NodeName) -> Standing:
        place, records = self._places[node], self.turns[node].records
        is_running = place.changed.state is NodeState.RUNNING
        last = records[-1] if is_running and records else None
        return Standing(
            state=place.changed.state,
            ended_at=place.ended_at,
            refused_since=self.refused_since(node) if is_running else None,
            is_failing=last is not None and last.steps is StepList.ROLLBACK,
        )

    def refused_since(self, node: NodeName) -> datetime | None:
        """Since when the node's drain waits for the minimum; None: it does not."""
        since = None
        for record in reversed(self.turns[node].records):
            if record.ended is not None and record.ended.state is not StepState.REFUSED:
                break
            since = record.ended_at if record.ended is not None else since
        return since

    def has_done_nothing(self, node: NodeName) -> bool:
        """Whether each step of its turn so far was refused or skipped."""
        idle = (StepState.REFUSED, StepState.SKIPPED)
        return all(one.ended is not None and one.ended.state in idle for one in self.turns[node].records)

    def is_drained(self, node: NodeName) -> bool:
        """Whether this turn has drained the node, and not resumed it."""
        drained = False
        for record in self.turns[node].records:
            action = self.playbook.steps_of(record.steps)[record.index].action
            ended = record.ended
            if isinstance(action, DrainNode):
                drained = drained or ended is None or (ended.changed and ended.state not in _NOT_DRAINED)
            elif isinstance(action, ResumeNode) and ended is not None and ended.state is StepState.OK:
                drained = False
        return drained

    def progress(self) -> tuple[NodeProgress, ...]:
        """What became of each node."""
        return tuple(
            NodeProgress(
                node=node,
                state=place.changed.state,
                reason=place.changed.reason,
                rolled_back=place.changed.rolled_back,
                records=self.turns[node].records,
            )
            for node, place in self._places.items()
        )
