"""Playbooks that are found by name, and what one of them says."""

from collections.abc import Iterator, Mapping
from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.playbook import Playbook
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import Json, escape_line
from clbalance.units import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookRow:
    """One playbook. `fault`: why it cannot be used, or empty. A variable that must be given has no value."""

    name: str
    file: str
    description: str = ""
    variables: Mapping[str, str | None] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Playbooks(Report):
    """Playbooks, the user's own first."""

    rows: tuple[PlaybookRow, ...]

    def human(self, display: Display) -> str:
        if not self.rows:
            return ""
        columns = (
            Column(heading="PLAYBOOK"),
            Column(heading="VARIABLES", sacrifice=1),
            Column(heading="DOES"),
        )
        rows = tuple(
            (Cell(row.name), Cell(" ".join(row.variables)), Cell(row.fault or row.description, _tone(row)))
            for row in self.rows
        )
        return display.table(Table(columns=columns, rows=rows), last="fold")

    def plain(self) -> str:
        return plain_lines((row.name, row.file, row.fault or row.description) for row in self.rows)

    def json(self) -> dict[str, Json]:
        return {"playbooks": [_document(row) for row in self.rows]}


def _tone(row: PlaybookRow) -> Tone:
    return Tone.BAD if row.fault else Tone.PLAIN


def _document(row: PlaybookRow) -> dict[str, Json]:
    return {
        "name": row.name,
        "file": row.file,
        "description": row.description,
        "variables": dict(row.variables),
        "reason": row.fault or None,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPlaybook(Report):
    """A playbook that is valid. `nodes` None: it names none."""

    playbook: Playbook
    file: str
    nodes: tuple[NodeName, ...] | None = None

    def human(self, display: Display) -> str:
        return "".join(f"{escape_line(line)}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        playbook = self.playbook
        parts = [counted(len(playbook.steps), "step")]
        if playbook.rollback:
            parts.append(f"{counted(len(playbook.rollback), 'step')} of rollback")
        nodes = "nodes as typed" if self.nodes is None else counted(len(self.nodes), "node")
        yield f"{playbook.name}: valid: {', '.join(parts)}; {nodes}"

    def plain(self) -> str:
        return plain_lines([(self.playbook.name, self.file, len(self.playbook.steps), self.playbook.text_hash)])

    def json(self) -> dict[str, Json]:
        playbook = self.playbook
        return {
            "playbook": playbook.name,
            "file": self.file,
            "sha256": playbook.text_hash,
            "hosts": playbook.hosts or None,
            "nodes": None if self.nodes is None else [{"name": node} for node in self.nodes],
            "variables": dict(playbook.variables),
            "steps": [step.name for step in playbook.steps],
            "rollback": [step.name for step in playbook.rollback],
        }
