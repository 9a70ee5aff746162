"""`doctor`: findings with hints what to type; in JSON also the facts of each node.

An unknown fact is null there, with its reason under `unknown`.
"""

from collections.abc import Mapping
from typing import TypeAlias, assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Silent, TmpSpace, Unknown
from clbalance.model.checkup import (
    Checkup,
    Examination,
    Examined,
    Finding,
    Folder,
    Logind,
    Mount,
    NodeFolders,
    Python,
    Severity,
)
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import Json, finite
from clbalance.units import counted

DOCTOR_FIELDS = ("severity", "node_set", "check", "what", "hint")
"""The fields in plain text, a line for each finding; `node_set` is `-` for this host."""

_Fact: TypeAlias = bool | float | str | Unknown | None

FACT_KEYS = (
    "uid", "python", "python_version", "clock_offset_s", "kill_user_processes", "lingers",
    "max_sessions", "max_startups", "folders",
)  # fmt: skip
"""Every fact of a node, in the order shown."""

_COLUMNS = (Column(heading="SEVERITY"), Column(heading="CHECK"), Column(heading="FINDING"))
_TONES: Mapping[Severity, Tone] = {Severity.WRONG: Tone.BAD, Severity.NOTE: Tone.WARN}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedFinding:
    """One finding with all nodes that have it; `node_set` is empty for this host."""

    severity: Severity
    check: str
    node_set: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHealth:
    """One node that was asked; `reason`: why it did not answer."""

    examination: Examination
    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport(Report):
    """All findings, errors first; `folded` has the same, with equal findings of several nodes as one."""

    findings: tuple[Finding, ...]
    folded: tuple[FoldedFinding, ...]
    nodes: tuple[NodeHealth, ...]

    @property
    def summary(self) -> str:
        """One line: the hosts that were checked, and the number of errors and notes."""
        silent = sum(isinstance(node.examination, Silent) for node in self.nodes)
        asked = f" and {counted(len(self.nodes), 'node')}" if self.nodes else ""
        mute = f" ({silent} silent)" if silent else ""
        wrongs = sum(one.severity is Severity.WRONG for one in self.folded)
        notes = len(self.folded) - wrongs
        verdict = counted(wrongs, "problem") if wrongs else "no problems"
        return f"this host{asked}{mute}: {verdict}" + (f", {counted(notes, 'note')}" if notes else "")

    def human(self, display: Display) -> str:
        """Two lines for each finding, the second with the hint; empty without findings."""
        if not self.folded:
            return ""
        rows: list[tuple[Cell, ...]] = []
        for one in self.folded:
            where = one.node_set or "this host"
            rows.append((Cell(one.severity, _TONES[one.severity]), Cell(one.check), Cell(f"{where}: {one.what}")))
            rows.append((Cell(""), Cell(""), Cell(f"hint: {one.hint}", Tone.QUIET)))
        return display.table(Table(columns=_COLUMNS, rows=tuple(rows)), last="fold")

    def plain(self) -> str:
        """The `DOCTOR_FIELDS` of each finding."""
        return plain_lines((one.severity, one.node_set, one.check, one.what, one.hint) for one in self.folded)

    def json(self) -> dict[str, Json]:
        return {
            "findings": [_finding_document(finding) for finding in self.findings],
            "nodes": [_node_document(node) for node in self.nodes],
        }


def _finding_document(finding: Finding) -> dict[str, Json]:
    """One finding as JSON; `node` is null for this host."""
    return {
        "node": finding.node,
        "check": finding.check,
        "severity": finding.severity,
        "what": finding.what,
        "hint": finding.hint,
    }


def _node_document(node: NodeHealth) -> dict[str, Json]:
    """`node` as JSON. All keys are always present."""
    match node.examination:
        case Silent(node=name, cause=cause):
            message: str | None = str(cause)
            facts: Mapping[str, Json] = dict.fromkeys(FACT_KEYS)
            unknown: Mapping[str, Json] = {}
        case Examined(node=name, checkup=checkup, clock_offset_s=offset_s):
            message = None
            facts, unknown = _split({"clock_offset_s": offset_s, **_facts(checkup)})
            facts = {**facts, "folders": _folders(checkup.folders)}
        case _:
            assert_never(node.examination)
    return {
        "name": name,
        "state": node.state,
        "reason": node.reason,
        "cause": message,
        **{key: facts[key] for key in FACT_KEYS},
        "unknown": unknown,
    }


def _facts(checkup: Checkup) -> dict[str, _Fact]:
    return {
        "uid": checkup.uid,
        **_python(checkup.python),
        **_logind(checkup.logind),
        "max_sessions": checkup.sshd.max_sessions,
        "max_startups": checkup.sshd.max_startups,
    }


def _python(found: Python | Unknown | None) -> dict[str, _Fact]:
    match found:
        case Python(path=path, version=version):
            told = version if isinstance(version, Unknown) else ".".join(map(str, version))
            return {"python": path, "python_version": told}
        case None | Unknown():
            return {"python": found, "python_version": found}
        case _:
            assert_never(found)


def _logind(found: Logind | Unknown | None) -> dict[str, _Fact]:
    if isinstance(found, Logind):
        return {"kill_user_processes": found.kills_user_processes, "lingers": found.lingers}
    return {"kill_user_processes": found, "lingers": found}


def _folders(folders: NodeFolders) -> list[Json]:
    return [_folder(folder) for folder in (folders.named, folders.made, folders.usual) if isinstance(folder, Folder)]


def _folder(folder: Folder) -> dict[str, Json]:
    return {
        "path": folder.path,
        "uid": folder.entry.uid,
        "mode": f"{folder.entry.mode & 0o7777:04o}",
        "writable": folder.writable,
        "file_system": folder.mount.type if isinstance(folder.mount, Mount) else None,
        "free_bytes": folder.space.free_bytes if isinstance(folder.space, TmpSpace) else None,
    }


def _split(facts: Mapping[str, _Fact]) -> tuple[dict[str, Json], dict[str, Json]]:
    """The values, null where unknown, and the reasons of the unknown ones."""
    shown: dict[str, Json] = {}
    unknown: dict[str, Json] = {}
    for key, value in facts.items():
        if isinstance(value, Unknown):
            shown[key], unknown[key] = None, value.reason
        else:
            shown[key] = finite(value) if isinstance(value, float) else value
    return shown, unknown
