"""Tables for people: fitted and coloured on a terminal, whole and without a control character elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass
from clbalance.render import talk
from clbalance.render.load_table import load_table
from clbalance.render.table import Table, aligned
from clbalance.render.untrusted import visible_line
from clbalance.render.views import NodeRow

# For the types alone: what shows nodes need not import what shows jobs (docs/design/startup.md).
if TYPE_CHECKING:
    from clbalance.render.history import HistoryReport
    from clbalance.render.rebalance import Deed, RebalanceReport

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

    def rebalance(self, report: RebalanceReport) -> str:
        from clbalance.render.rebalance import advice_line, deeds_table, waiting_line

        table = self._drawn(deeds_table(report.deeds), last="fold") if report.deeds else ""
        waiting = [waiting_line(*one) for one in report.waiting]
        advice = [advice_line(*one) for one in report.advice or ()]
        return table + "".join(f"{visible_line(line)}\n" for line in (*waiting, *advice))

    def rebalance_deed(self, deed: Deed) -> str:
        from clbalance.render.rebalance import deed_line

        return visible_line(deed_line(deed)) + "\n"

    def rebalance_done(self, report: RebalanceReport) -> str:
        from clbalance.render.rebalance import advice_line

        return "".join(f"{visible_line(advice_line(*one))}\n" for one in report.advice or ())

    def error(self, error: ClbalanceError) -> str:
        return talk.error(error)

    def _drawn(self, table: Table, *, last: Literal["cut", "fold"]) -> str:
        if self.terminal_width is None and not self.color:
            return aligned(table)
        from clbalance.render.rich_table import draw

        return draw(table, width=self.terminal_width, color=self.color, last=last)
