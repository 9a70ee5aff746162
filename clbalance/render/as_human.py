"""Tables for people: fitted and coloured on a terminal, whole and without a control character elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from clbalance.errors import ClbalanceError
from clbalance.job import Outcome, Placed
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.nodes import fold
from clbalance.render import talk
from clbalance.render.ends import told
from clbalance.render.explanation import attempt_heading, explanation_table, runner_up
from clbalance.render.figures import DASH, duration
from clbalance.render.load_table import load_table
from clbalance.render.table import Cell, Column, Table, Tone, aligned
from clbalance.render.untrusted import visible_line
from clbalance.render.views import JobReport, NodeRow

# For the types alone: what shows nodes need not import what shows jobs (docs/design/startup.md).
if TYPE_CHECKING:
    from clbalance.render.history import HistoryReport
    from clbalance.render.job_limits import JobLimits
    from clbalance.render.jobs import JobRow
    from clbalance.render.rebalance import Deed, RebalanceReport
    from clbalance.render.tasks import TaskRow

_PIPE_WIDTH = 80
"""Of what is drawn to a width, where no terminal has one."""

_RUN_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="STATE"),
    Column(heading="CODE", align="right"),
    Column(heading="TIME", align="right"),
    Column(heading="REASON"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanRenderer:
    """`--format human`. Without a terminal and without colour rich is never imported: it costs 64 ms."""

    terminal_width: int | None
    color: bool

    def load(self, rows: Sequence[NodeRow]) -> str:
        return self._drawn(load_table(rows), last="cut")

    def pick(self, plan: Plan, folded: str) -> str:
        return visible_line(folded) + "\n" if folded else ""

    def explain(self, plan: Plan, folded: str) -> str:
        close = runner_up(plan)
        table = self._drawn(explanation_table(plan), last="fold")
        return table + (visible_line(close) + "\n" if close else "")

    def explain_job(self, placed: Sequence[Placed], limits: JobLimits) -> str:
        from clbalance.render.job_limits import limits_lines

        told = [(attempt_heading(one), self.explain(one.plan, fold(one.plan.chosen))) for one in placed]
        tables = [f"{visible_line(heading)}\n{table}" if len(placed) > 1 else table for heading, table in told]
        lines = "".join(f"{visible_line(line)}\n" for line in limits_lines(limits))
        return "\n".join([*tables, lines] if lines else tables)

    def run(self, report: JobReport) -> str:
        rows = tuple(_run_row(outcome) for outcome in report.outcomes)
        table = Table(columns=_RUN_COLUMNS, rows=rows)
        if not any(cells[-1].text for cells in rows):
            table = table.without(len(_RUN_COLUMNS) - 1)
        return self._drawn(table, last="fold")

    def jobs(self, rows: Sequence[JobRow]) -> str:
        from clbalance.render.jobs import jobs_table

        return self._drawn(jobs_table(rows), last="fold")

    def tasks(self, rows: Sequence[TaskRow]) -> str:
        from clbalance.render.tasks import tasks_table

        return self._drawn(tasks_table(rows), last="cut")

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


def _run_row(outcome: Outcome) -> tuple[Cell, ...]:
    end = told(outcome.end)
    return (
        Cell(outcome.node),
        Cell(end.state, Tone.GOOD if end.state == "COMPLETED" else Tone.BAD),
        Cell(DASH if end.rc is None else str(end.rc)),
        Cell(duration(outcome.seconds)),
        Cell(end.reason or ""),
    )
