"""A playbook in plain sentences: `play --explain`. No node was asked for it."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import StepList
from clbalance.model.playbook import Canary, DrainNode, NodeOrder, Playbook, Rollout, Share
from clbalance.nodeset import fold
from clbalance.playbook.origins import Origin, Value
from clbalance.policy.drain_progress import min_available_of
from clbalance.policy.play.schedule import count_of, most_failed
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.reports.play.explain_step import ExplainedStep, explained_steps
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, escape_line, span
from clbalance.units import counted

_ORDERS: Final = {
    NodeOrder.LEAST: "The least loaded node is first. Nodes whose load is unknown are last.",
    NodeOrder.MOST: "The most loaded node is first. Nodes whose load is unknown are last.",
    NodeOrder.NAME: "They are in the order of their names. Nodes whose load is unknown are last.",
    NodeOrder.RANDOM: "They are in random order. Nodes whose load is unknown are last.",
}
_WIDTH: Final = 100
"""Of sentences, at most."""
_ALL: Final = 100
"""Percent."""
_NARROWEST: Final = 20
_LONGEST: Final = 60
"""Characters of a value in its table; the JSON has all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedPlaybook(Report):
    """`nodes`, `pool` None: they are not named. `values`: each with what has set it."""

    playbook: Playbook
    values: tuple[Value, ...]
    nodes: tuple[NodeName, ...] | None = None
    pool: tuple[NodeName, ...] | None = None

    def human(self, display: Display) -> str:
        playbook = self.playbook
        lines = _Lines(display.width)
        lines.add(0, f"{playbook.name} ({playbook.file})" + (playbook.description and f": {playbook.description}"))
        lines.section("Nodes", self._order())
        lines.section("The turn of each node", ())
        lines.steps(self._turn())
        lines.section("When a step fails", self._failure())
        lines.steps(self._rollback())
        lines.section("When the run stops", self._stops())
        if floor := tuple(self._floor()):
            lines.section("The nodes that stay available", floor)
        return f"{lines.text}\n{self._values(display)}"

    def _values(self, display: Display) -> str:
        columns = (Column(heading="NAME"), Column(heading="FROM"), Column(heading="VALUE"))
        rows = tuple(
            (
                Cell(one.name),
                Cell(_origin(one), Tone.QUIET if one.origin is Origin.DEFAULT else Tone.PLAIN),
                Cell(_short(one.text) or DASH),
            )
            for one in self.values
        )
        return display.table(Table(columns=columns, rows=rows), last="cut")

    # -- sentences

    def _order(self) -> Iterator[str]:
        rollout = self.playbook.rollout
        if self.nodes is None:
            yield "They are typed (`-w`, `-g`, `-a`): the playbook has no `hosts`."
        else:
            yield f"{counted(len(self.nodes), 'node')}: {fold(self.nodes)}."
        yield _ORDERS[rollout.order]
        if rollout.canary is not None:
            yield from self._canary(rollout.canary)
        yield self._at_once(rollout)
        if rollout.stop_after is not None:
            yield f"The run pauses after the turns of {self._share(rollout.stop_after)}; `play --continue` goes on."

    def _canary(self, canary: Canary) -> Iterator[str]:
        yield f"The canary is {self._share(canary.nodes)}: the others wait until its turns are over."
        if canary.soak_s:
            again = ", and then its health is checked again" if self.playbook.health is not None else ""
            yield f"After that, the canary works for {span(canary.soak_s)}{again}."
        if canary.pause:
            yield "Then somebody at the terminal is asked; without a terminal the run pauses."

    def _at_once(self, rollout: Rollout) -> str:
        if rollout.serial:
            sizes = ", ".join(map(self._share, rollout.serial))
            return f"They go in batches of {sizes}. A batch waits for the last node of the one before."
        if rollout.window is None:
            return "As many turns run at once as `-f` allows."
        return f"Turns run on {self._share(rollout.window)} at once. The next one starts as soon as any has ended."

    def _turn(self) -> tuple[ExplainedStep, ...]:
        return explained_steps(self.playbook.steps)

    def _rollback(self) -> tuple[ExplainedStep, ...]:
        return explained_steps(self.playbook.steps_of(StepList.ROLLBACK))

    def _failure(self) -> Iterator[str]:
        playbook = self.playbook
        drained = ", and stays drained; its drain mark names the step and the reason" if _drains(playbook) else ""
        yield f"The node has failed{drained}. Its other steps are not done."
        yield "If nobody knows whether a step ran, the node is uncertain: it counts as failed, and is left as it is."
        if not playbook.rollback:
            yield "There is no `rollback`: what was done on the node stays."
            return
        yield "The rollback is done there, unless only a drain was begun:"

    def _stops(self) -> Iterator[str]:
        rollout = self.playbook.rollout
        yield self._too_many(rollout.max_fail_percentage)
        if rollout.canary is not None:
            back = ", and all of the canary are rolled back" if self.playbook.rollback else ""
            yield f"If a node of the canary fails, no other node is touched{back}."
            yield "If its health is unknown, somebody at the terminal is asked; without a terminal the run pauses."
        yield "`play --continue` does the nodes that have failed and those that were not started."
        if self.playbook.rollback:
            yield "`play --rollback` does the rollback on the nodes that are done."

    def _too_many(self, percentage: float | None) -> str:
        when = f"When more than {percentage:g}% of the nodes have failed" if percentage else "When a node has failed"
        if percentage == _ALL:
            return "However many nodes fail, the others have their turns."
        if self.nodes is not None:
            most = most_failed(percentage, len(self.nodes))
            when = f"When more than {counted(most, 'node')} have failed" if most else "When a node has failed"
        return f"{when}, no further turn starts, and those that run come to their end."

    def _floor(self) -> Iterator[str]:
        least = self.playbook.rollout.min_available
        if not _drains(self.playbook):
            return
        if least is None:
            yield "No minimum is set (`min_available`): all nodes whose turns run are drained at once."
            return
        yield f"{self._minimum(least)} stay available."
        yield "A drain that would leave fewer waits, and no further turn starts meanwhile."
        yield "All drains count, also those of other plays, of other users and by hand: their marks are on the nodes."

    def _minimum(self, least: Share) -> str:
        of = "the nodes of `pool`" if self.playbook.pool else "the nodes"
        if self.pool is None:
            return f"{least.number}% of {of}" if least.is_percent else f"{least.number} of {of}"
        number = min_available_of(least.number, is_pct=least.is_percent, pool=len(self.pool))
        return f"{number} of {counted(len(self.pool), 'node')} ({fold(self.pool)})"

    def _share(self, share: Share) -> str:
        if not share.is_percent:
            return counted(share.number, "node")
        if self.nodes is None:
            return f"{share.number}% of the nodes"
        return f"{counted(count_of(share, len(self.nodes)), 'node')} ({share.number}%)"

    # -- other forms

    def plain(self) -> str:
        """A part, a name, a text in each line: `step`, `rollback`, and `value` with its origin."""
        steps = (("step", self._turn()), ("rollback", self._rollback()))
        rows = [(part, one.name, one.does) for part, listed in steps for one in listed]
        return plain_lines((*rows, *((f"value from {one.origin.value}", one.name, one.text) for one in self.values)))

    def json(self) -> dict[str, Json]:
        return {
            "playbook": self.playbook.name,
            "file": self.playbook.file,
            "description": self.playbook.description or None,
            "nodes": None if self.nodes is None else [{"name": node} for node in self.nodes],
            "order": list(self._order()),
            "steps": [_step(one) for one in self._turn()],
            "failure": list(self._failure()),
            "rollback": [_step(one) for one in self._rollback()],
            "stops": list(self._stops()),
            "minimum": list(self._floor()),
            "values": [
                {"name": one.name, "value": one.text or None, "from": one.origin.value, "line": one.line or None}
                for one in self.values
            ],
        }


def _drains(playbook: Playbook) -> bool:
    return any(isinstance(step.action, DrainNode) for step in playbook.steps)


class _Lines:
    """Sentences below each other, wrapped. What is done is on one line, so that it can be copied."""

    def __init__(self, width: int | None) -> None:
        self.text = ""
        self._width = min(width or _WIDTH, _WIDTH)

    def add(self, indent: int, sentence: str, *, is_wrapped: bool = True) -> None:
        """One sentence."""
        line = escape_line(sentence)
        room = max(_NARROWEST, self._width - indent)
        wrapped = textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) if is_wrapped else [line]
        self.text += "".join(f"{' ' * indent}{one}\n" for one in wrapped)

    def section(self, title: str, sentences: Iterable[str]) -> None:
        """A title with its sentences."""
        self.text += f"\n{title}\n"
        for sentence in sentences:
            self.add(2, sentence)

    def steps(self, steps: Sequence[ExplainedStep]) -> None:
        """Numbered steps, each with its sentences."""
        for number, step in enumerate(steps, start=1):
            self.add(2, f"{number}. {step.name} (line {step.line}): {step.does}", is_wrapped=False)
            for sentence in step.more:
                self.add(7, sentence)


def _step(step: ExplainedStep) -> Json:
    return {"name": step.name, "line": step.line, "does": step.does, "more": list(step.more)}


def _origin(value: Value) -> str:
    return f"line {value.line}" if value.line else value.origin.value


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
