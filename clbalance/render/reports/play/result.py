"""What became of the nodes of a run. For `play`."""

from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import NodeProgress, NodeState, RunState, StepList, StepState
from clbalance.model.playbook import Playbook
from clbalance.nodeset import fold
from clbalance.policy.play.outcome import INTERRUPTED, state_left
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import Json, escape_line

SHOWN_STATES: Final = {
    NodeState.OK.value: ("ok", Tone.GOOD),
    NodeState.FAILED.value: ("failed", Tone.BAD),
    NodeState.UNCERTAIN.value: ("uncertain", Tone.BAD),
    INTERRUPTED: ("interrupted", Tone.WARN),
    NodeState.RUNNING.value: ("running", Tone.PLAIN),
    NodeState.LEFT_OUT.value: ("left out", Tone.WARN),
    NodeState.NOT_STARTED.value: ("not started", Tone.QUIET),
}
"""The words for people, by `state_left`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayResult(Report):
    """A run that has ended. Nodes of one state without a reason share a line."""

    number: int
    playbook: Playbook
    state: RunState
    reason: str
    nodes: tuple[NodeProgress, ...]

    def human(self, display: Display) -> str:
        columns = (Column(heading="NODES"), Column(heading="RESULT"), Column(heading="REASON"))
        rows = tuple(
            (Cell(nodes), Cell(*SHOWN_STATES[state]), Cell(reason)) for nodes, state, reason in self._grouped()
        )
        return display.table(Table(columns=columns, rows=rows), last="fold") + self.summary() + "\n"

    def _grouped(self) -> list[tuple[str, str, str]]:
        grouped: dict[tuple[str, str], list[NodeName]] = {}
        for one in self.nodes:
            reason = f"{self._why(one)} (rolled back)" if one.rolled_back else self._why(one)
            grouped.setdefault((state_left(one, self.playbook), reason), []).append(one.node)
        order = list(SHOWN_STATES)
        found = sorted(grouped.items(), key=lambda item: order.index(item[0][0]))
        return [(fold(nodes), state, reason) for (state, reason), nodes in found]

    def _why(self, one: NodeProgress) -> str:
        if one.state is NodeState.RUNNING and not one.reason and one.records:
            last = one.records[-1]
            return f"at {self.playbook.steps_of(last.steps)[last.index].name}"
        return one.reason

    def summary(self) -> str:
        """One line: the run, how it ended, and why."""
        reason = f": {escape_line(self.reason)}" if self.reason else ""
        return f"run {self.number} of {escape_line(self.playbook.name)} {self.state.value}{reason}"

    def plain(self) -> str:
        return plain_lines((one.node, state_left(one, self.playbook), self._why(one) or None) for one in self.nodes)

    def json(self) -> dict[str, Json]:
        return {
            "run": self.number,
            "playbook": self.playbook.name,
            "state": self.state.value,
            "reason": self.reason or None,
            "nodes": [self._node(one) for one in self.nodes],
        }

    def _node(self, one: NodeProgress) -> Json:
        done = {
            (record.steps, record.index)
            for record in one.records
            if record.steps is StepList.STEPS and record.ended is not None and record.ended.state is StepState.OK
        }
        return {
            "name": one.node,
            "state": state_left(one, self.playbook),
            "reason": self._why(one) or None,
            "rolled_back": one.rolled_back,
            "steps_done": len(done),
        }
