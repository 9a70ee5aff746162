"""What a run of a playbook is about to do: nodes in the order of their turns, and the rules. For `play`."""

from collections.abc import Iterable, Mapping
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.playbook import Canary, NodeOrder, OnDeadline, Playbook, Share, Step
from clbalance.policy.play.schedule import most_failed
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import Json, escape_line, span
from clbalance.units import counted

_SHOWN: Final = 20
"""Nodes of a plan that have a line of their own."""

_ORDERS: Final = {
    NodeOrder.LEAST: "least loaded first",
    NodeOrder.MOST: "most loaded first",
    NodeOrder.NAME: "by name",
    NodeOrder.RANDOM: "in random order",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTurn:
    """One node. `part`: `canary`, the number of its batch, or empty. `why`: its place in the order."""

    node: NodeName
    part: str
    why: str
    is_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayPlan(Report):
    """The plan. `at_once`: how many turns run at the same time at most."""

    playbook: Playbook
    turns: tuple[PlannedTurn, ...]
    at_once: int
    pool: int = 0
    min_available: int | None = None
    order: str = ""
    """In place of the playbook's own order."""

    def human(self, display: Display) -> str:
        order = self.order or _ORDERS[self.playbook.rollout.order]
        head = escape_line(f"{self.playbook.name}: {counted(len(self.turns), 'node')}, {order}")
        return f"{head}\n{self._table(display)}" + "".join(f"{line}\n" for line in self.rules())

    def _table(self, display: Display) -> str:
        columns = (Column(heading="NODE"), Column(heading="PART"), Column(heading="WHY"))
        shown = self.turns if len(self.turns) <= _SHOWN + 1 else self.turns[:_SHOWN]
        rows = tuple(
            (Cell(one.node), Cell(one.part), Cell(one.why, Tone.PLAIN if one.is_known else Tone.WARN)) for one in shown
        )
        more = f"and {len(self.turns) - len(shown)} more\n" if len(shown) < len(self.turns) else ""
        return display.table(Table(columns=columns, rows=rows), last="cut") + more

    def rules(self) -> Iterable[str]:
        """What each turn does, how many run at once, and when the run stops; one line each."""
        book, rollout = self.playbook, self.playbook.rollout
        yield f"each turn: {_steps(book.steps)}"
        if book.rollback:
            yield f"if it fails: {_steps(book.rollback)}"
        yield f"at once: {self._at_once()}"
        if rollout.canary is not None:
            yield f"canary: {_canary(rollout.canary)}"
        tolerated = most_failed(rollout.max_fail_percentage, len(self.turns))
        yield f"stops: when more than {tolerated} have failed" if tolerated else "stops: when a node has failed"
        if self.min_available is not None:
            yield f"minimum: {self.min_available} of {counted(self.pool, 'node')} stay available, with all other drains"
        if rollout.stop_after is not None:
            yield f"pauses: after {_share(rollout.stop_after)}"

    def _at_once(self) -> str:
        if not self.playbook.rollout.serial:
            return counted(self.at_once, "turn")
        sizes = ", ".join(_share(one) for one in self.playbook.rollout.serial)
        return f"batches of {sizes}; each batch waits for the one before"

    def plain(self) -> str:
        return plain_lines((one.node, one.part or "-", one.why) for one in self.turns)

    def json(self) -> dict[str, Json]:
        return {
            "playbook": self.playbook.name,
            "nodes": [turn for _, turn in self.turn_documents()],
            "rules": list(self.rules()),
        }

    def turn_documents(self) -> Iterable[tuple[NodeName, Mapping[str, Json]]]:
        """Each node with its place in the order, as in the JSON."""
        return ((one.node, {"name": one.node, "part": one.part or None, "why": one.why}) for one in self.turns)


def _steps(steps: Iterable[Step]) -> str:
    return " → ".join(escape_line(_step(one)) for one in steps)


def _step(step: Step) -> str:
    action = step.action
    deadline_s = getattr(action, "deadline_s", None)
    if deadline_s is None:
        return step.name
    then = {OnDeadline.FAIL: "then fail", OnDeadline.SKIP: "then leave the node out", OnDeadline.FORCE: "then go on"}
    return f"{step.name} (at most {span(deadline_s)}, {then[getattr(action, 'on_deadline', OnDeadline.FAIL)]})"


def _canary(canary: Canary) -> str:
    soak = f", then a soak of {span(canary.soak_s)}" if canary.soak_s else ""
    ask = ", then a question" if canary.pause else ""
    return f"{_share(canary.nodes)}{soak}{ask}; the others follow if all is well"


def _share(share: Share) -> str:
    return f"{share.number}% of the nodes" if share.is_percent else counted(share.number, "node")
