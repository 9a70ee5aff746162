"""`top --once` and `top --json`: one round as text, or as a value with all views."""

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.top.state import TopState
from clbalance.policy.top.view import View
from clbalance.render.lines import cut_line, lines_text
from clbalance.render.node_json import node_document
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.reports.nodes.load import LoadReport
from clbalance.render.reports.nodes.load_gpus import LoadGpusReport
from clbalance.render.sparkline import Blocks
from clbalance.render.table import GAP
from clbalance.render.text import Json
from clbalance.render.top.frame import summary
from clbalance.render.top.item import Items
from clbalance.render.top.jobs import job_items, user_items
from clbalance.render.top.narrow import Filter, grouping_of, items_of, selected_nodes, visible
from clbalance.render.top.nodes import group_items
from clbalance.render.top.round import Round
from clbalance.render.top.table_lines import TableLines, whole_table


@dataclass(frozen=True, slots=True, kw_only=True)
class TopReport(Report):
    """One round, in one view for people and in plain text."""

    found: Round
    blocks: Blocks
    view: View = View.NODES
    by: Filter = Filter()

    def human(self, display: Display) -> str:
        """The lines of the screen, of all rows."""
        state = TopState(view=self.view)
        found = selected_nodes(self.found, self.by)
        items = visible(items_of(found, state, self.blocks), self.by, state)
        table = whole_table(items, state)
        width = display.width or sum(table.widths()) + GAP * len(items.columns)
        lines = [summary(found, None, width), *TableLines(table, width, self.blocks)]
        if display.width is not None:
            lines = [cut_line(line, width, self.blocks.cut) for line in lines]
        return lines_text(lines, color=display.color)

    def plain(self) -> str:
        """Nodes and GPUs as in `load`; of the other views the values that JSON has, in the order of their keys."""
        found = selected_nodes(self.found, self.by)
        match self.view:
            case View.NODES:
                return LoadReport(found.rows).plain()
            case View.GPUS:
                return LoadGpusReport(found.rows, found.names).plain()
            case _:
                items = visible(items_of(found, TopState(view=self.view), self.blocks), self.by, TopState())
                return plain_lines(_values(items))

    def json(self) -> dict[str, Json]:
        """All views, whichever is shown."""
        found = selected_nodes(self.found, self.by)
        grouping = grouping_of(found, TopState())
        return {
            "round": found.number,
            "taken_at": found.taken_at.isoformat(),
            "logins": found.logins,
            "states": dict(found.counts()),
            "nodes": [node_document(row, found.names) for row in found.rows],
            "jobs": job_items(found).documents(),
            "users": user_items(found).documents(),
            "grouped_by": grouping or None,
            "groups": group_items(found, grouping).documents(),
        }


def _values(items: Items) -> list[list[Json]]:
    return [list(document.values()) for document in items.documents()]
