"""What became of the drain marks of nodes; for `drain` and `resume`."""

from clbalance.lazy_dataclass import dataclass
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.text import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRow:
    """One node. `result`: `drained`, `draining` (jobs run there), `resumed`, `unchanged`, `failed` or `unknown`."""

    name: str
    result: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class MarksReport(Report):
    """Nodes in the order in which they were named. People have been told of them on standard error."""

    rows: tuple[MarkRow, ...]

    def human(self, display: Display) -> str:
        return ""

    def plain(self) -> str:
        return plain_lines((row.name, row.result, row.reason) for row in self.rows)

    def json(self) -> dict[str, Json]:
        return {"nodes": [{"name": row.name, "result": row.result, "reason": row.reason} for row in self.rows]}
