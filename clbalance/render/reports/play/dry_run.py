"""What a run would do now: the plan, and each step on each node. For `play --dry-run`."""

from collections.abc import Sequence
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import StepEnded, StepState
from clbalance.model.playbook import Step
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.reports.play.plan import PlayPlan
from clbalance.render.text import Json, escape_line, escape_text

CheckedSteps: TypeAlias = Sequence[tuple[Step, StepEnded]]
"""Steps with what they would do: `reason` says it in a few words, `result.out` lists what would change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun(Report):
    """The plan, and the steps of the nodes that have answered."""

    plan: PlayPlan
    checked: dict[NodeName, CheckedSteps]

    def human(self, display: Display) -> str:
        return self.plan.human(display) + "".join(turn_text(node, steps) for node, steps in self.checked.items())

    def plain(self) -> str:
        """Node, step, state, and what it would do."""
        return plain_lines(
            (node, step.name, ended.state.value, ended.reason)
            for node, steps in self.checked.items()
            for step, ended in steps
        )

    def json(self) -> dict[str, Json]:
        nodes = [
            {**turn, "steps": [_step(*one) for one in self.checked[node]] if node in self.checked else None}
            for node, turn in self.plan.turn_documents()
        ]
        return {**self.plan.json(), "nodes": nodes}


def turn_text(node: NodeName, steps: CheckedSteps) -> str:
    """One node with its steps, a line for each."""
    lines = [escape_line(node)]
    for step, ended in steps:
        cannot = "cannot be checked: " if ended.state is StepState.FAILED else ""
        lines.append(f"  {escape_line(step.name)}: {cannot}{escape_line(ended.reason or _nothing(step))}")
        lines += [f"    {line}" for line in escape_text(_diff(ended)).splitlines()]
    return "\n".join(lines) + "\n"


def _nothing(step: Step) -> str:
    return "carried out" if step.runs_in_check else "nothing would change"


def _step(step: Step, ended: StepEnded) -> Json:
    return {
        "name": step.name,
        "state": ended.state.value,
        "reason": ended.reason or None,
        "changes": _diff(ended).splitlines(),
    }


def _diff(ended: StepEnded) -> str:
    return "" if ended.result is None else ended.result.out
