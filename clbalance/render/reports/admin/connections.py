"""`config connections`: a line for each ssh connection that is kept."""

from clbalance.lazy_dataclass import dataclass
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table
from clbalance.render.text import Json, span

_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="SESSIONS", align="right"),
    Column(heading="AGE", align="right"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptConnection:
    """A connection to a node, and how many sessions go over it now."""

    node: str
    sessions: int
    age_s: float
    socket: str


@dataclass(frozen=True, slots=True)
class ConnectionsReport(Report):
    """All that are kept."""

    connections: tuple[KeptConnection, ...]

    def human(self, display: Display) -> str:
        """A table; empty for none."""
        rows = tuple((Cell(one.node), Cell(str(one.sessions)), Cell(span(one.age_s))) for one in self.connections)
        return display.table(Table(columns=_COLUMNS, rows=rows), last="cut") if rows else ""

    def plain(self) -> str:
        return plain_lines((one.node, one.sessions, round(one.age_s), one.socket) for one in self.connections)

    def json(self) -> dict[str, Json]:
        return {
            "connections": [
                {"node": one.node, "sessions": one.sessions, "age_s": round(one.age_s, 1), "socket": one.socket}
                for one in self.connections
            ]
        }
