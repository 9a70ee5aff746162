"""What `doctor` shows: findings put side by side, and how each form writes them."""

from collections.abc import Mapping

from clbalance.checkup import Examination, Finding, Severity
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Silent
from clbalance.render.json_value import Json
from clbalance.render.table import Cell, Column, Table, Tone

_COLUMNS = (Column(heading="SEVERITY"), Column(heading="CHECK"), Column(heading="FINDING"))
_TONES: Mapping[Severity, Tone] = {Severity.WRONG: Tone.BAD, Severity.NOTE: Tone.WARN}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedFinding:
    """One finding of all the nodes that have it; `node_set` is empty where it is about this host."""

    severity: Severity
    check: str
    node_set: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHealth:
    """One node that was asked; `reason` where it did not answer."""

    examination: Examination
    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """All findings, wrong things first; `folded` are the same."""

    findings: tuple[Finding, ...]
    folded: tuple[FoldedFinding, ...]
    nodes: tuple[NodeHealth, ...]

    @property
    def summary(self) -> str:
        """In one phrase: what was looked at, and what came of it."""
        silent = sum(isinstance(node.examination, Silent) for node in self.nodes)
        asked = f" and {_counted(len(self.nodes), 'node')}" if self.nodes else ""
        mute = f" ({silent} silent)" if silent else ""
        wrongs = sum(one.severity is Severity.WRONG for one in self.folded)
        notes = len(self.folded) - wrongs
        verdict = f"{_counted(wrongs, 'thing')} wrong" if wrongs else "nothing is wrong"
        return f"this host{asked}{mute}: {verdict}" + (f", {_counted(notes, 'note')}" if notes else "")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def health_table(report: HealthReport) -> Table:
    """Two lines a finding, the second what to type."""
    rows: list[tuple[Cell, ...]] = []
    for one in report.folded:
        where = one.node_set or "this host"
        rows.append((Cell(one.severity, _TONES[one.severity]), Cell(one.check), Cell(f"{where}: {one.what}")))
        rows.append((Cell(""), Cell(""), Cell(f"hint: {one.hint}", Tone.QUIET)))
    return Table(columns=_COLUMNS, rows=tuple(rows))


def finding_document(finding: Finding) -> dict[str, Json]:
    """One finding as JSON; `node` is null for this host."""
    return {
        "node": finding.node,
        "check": finding.check,
        "severity": finding.severity,
        "what": finding.what,
        "hint": finding.hint,
    }
