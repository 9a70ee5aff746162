"""Tables for people: fitted and coloured on a terminal, whole and without a control character elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from clbalance.lazy_dataclass import dataclass
from clbalance.render.load_table import load_table
from clbalance.render.table import Table, aligned
from clbalance.render.views import NodeRow

# For the types alone: what shows nodes need not import what shows jobs (docs/design/startup.md).
if TYPE_CHECKING:
    from clbalance.render.history import HistoryReport

_PIPE_WIDTH = 80
"""Of what is drawn to a width, where no terminal has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanRenderer:
    """`--format human`. Without a terminal and without colour rich is never imported: it costs 64 ms."""

    terminal_width: int | None
    color: bool

    def load(self, rows: Sequence[NodeRow]) -> str:
        return self._drawn(load_table(rows), last="cut")

    def history(self, report: HistoryReport) -> str:
        from clbalance.render.history import history_legend, history_table

        table, axis = history_table(report, self.terminal_width or _PIPE_WIDTH)
        return self._drawn(table, last="cut") + history_legend(report, axis) if table.rows else ""

    def _drawn(self, table: Table, *, last: Literal["cut", "fold"]) -> str:
        if self.terminal_width is None and not self.color:
            return aligned(table)
        from clbalance.render.rich_table import draw

        return draw(table, width=self.terminal_width, color=self.color, last=last)
