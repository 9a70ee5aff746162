"""`reap`: the leftovers on each node; nodes with equal leftovers share a line."""

from clbalance.lazy_dataclass import dataclass
from clbalance.model.checkup import Leftover, LeftoverKind, Reaped
from clbalance.nodeset import fold
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, iec

REAP_FIELDS = ("node", "kind", "name", "bytes", "pids", "why")
"""The fields in plain text, a line for each leftover."""

_HEADINGS = {
    LeftoverKind.PROCESSES: "PROCESSES",
    LeftoverKind.LEASE: "LEASES",
    LeftoverKind.HALF: "PARTIAL FILES",
    LeftoverKind.JOB: "ENDED JOBS",
    LeftoverKind.BOOT: "JOBS BEFORE BOOT",
    LeftoverKind.CLAIM: "UNSTARTED JOBS",
}
_COLUMNS = (
    Column(heading="NODES"),
    *(Column(heading=heading, align="right", sacrifice=1) for heading in _HEADINGS.values()),
    Column(heading="SIZE", align="right"),
    Column(heading="REASON"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReapReport(Report):
    """The leftovers on all nodes. `applied`: they were removed, except those with a reason."""

    nodes: tuple[Reaped, ...]
    applied: bool

    def human(self, display: Display) -> str:
        """Nodes with leftovers, and nodes that did not answer; empty for none."""
        together: dict[tuple[Cell, ...], list[Reaped]] = {}
        for node in self.nodes:
            if node.found or not node.answered:
                together.setdefault(_cells(node), []).append(node)
        if not together:
            return ""
        rows = tuple((Cell(fold(one.node for one in nodes)), *cells) for cells, nodes in together.items())
        table = Table(columns=_COLUMNS, rows=rows)
        has_reasons = any(cells[-1].text for cells in together)
        return display.table(table if has_reasons else table.without(len(_COLUMNS) - 1), last="fold")

    def plain(self) -> str:
        """The `REAP_FIELDS` of each leftover."""
        return plain_lines(
            (node.node, one.kind, one.name, one.size_bytes, ",".join(map(str, one.pids)), one.reason)
            for node in self.nodes
            for one in node.found
        )

    def json(self) -> dict[str, Json]:
        nodes = [
            {
                "name": node.node,
                "cause": None if node.cause is None else str(node.cause),
                "reason": _unanswered(node) or None,
                "found": [_found(one) for one in node.found],
            }
            for node in self.nodes
        ]
        return {"applied": self.applied, "nodes": nodes}


def _found(one: Leftover) -> Json:
    return {
        "kind": one.kind,
        "name": one.name,
        "bytes": one.size_bytes,
        "pids": list(one.pids),
        "reason": one.reason or None,
    }


def _cells(node: Reaped) -> tuple[Cell, ...]:
    counts = [sum(_count(one) for one in node.found if one.kind is kind) for kind in _HEADINGS]
    whys = [_unanswered(node), *(f"{one.name}: {one.reason}" for one in node.found if one.reason)]
    parts = [reason for reason in whys if reason]
    reason = "; ".join(parts[:2]) + (f"; {len(parts) - 2} more" if len(parts) > 2 else "")
    silent = not node.found and not node.answered
    return (
        *(Cell(DASH if silent else str(count)) for count in counts),
        Cell(DASH if silent else iec(sum(one.size_bytes for one in node.found))),
        Cell(reason, Tone.BAD),
    )


def _count(one: Leftover) -> int:
    """Processes are counted each, everything else by job."""
    return len(one.pids) if one.kind is LeftoverKind.PROCESSES else 1


def _unanswered(node: Reaped) -> str:
    return node.reason if node.cause is None else node.cause.because(node.reason)
