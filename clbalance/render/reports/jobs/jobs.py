"""`jobs`: a line for each job; and the ends of several jobs, for `wait`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.render.jobs.columns import COLUMNS, USED, USUAL, cell, head, plain_value
from clbalance.render.jobs.row import JobRow, job_document
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import GAP, LAST_NEEDS, Cell, Column, Table, fit
from clbalance.render.text import Json

USAGE_FIELDS = ("cpu_s", "mem_bytes")
"""The usage of a running job: CPU seconds, bytes of memory."""

JOBS_FIELDS = ("id", "name", "state", "node_set", "rc", "seconds", "attempt", "user", "reason", *USAGE_FIELDS, "qos")
"""The first fields in plain text, a line for each job."""
MORE_FIELDS = ("job", "submitted", "started", "ended", "cpus", "mem", "gpus", "maxrss", "tasks", "command")
"""The columns that follow them."""

_NAME_CHARS = 16
_COMMAND_CHARS = 24
"""The beginning of a command, where there is no room for more."""


@dataclass(frozen=True, slots=True)
class JobsReport(Report):
    """Jobs in the order shown. Times are shown as they are, with their own time zone."""

    rows: Sequence[JobRow]
    now: datetime | None = None
    """Shortens times of today and of this year; None: times are shown in full."""
    columns: Sequence[str] | None = None
    """As asked for; None: the usual ones, as far as there is room and they have values."""

    def human(self, display: Display) -> str:
        if self.columns is not None:
            return display.table(self._chosen(self.columns), last="fold")
        shown = self._usual(display.width)
        return display.table(shown, last="fold") + display.left_out(self._usual(None), shown)

    def plain(self) -> str:
        """The `JOBS_FIELDS` and `MORE_FIELDS` of each job, or the columns asked for."""
        if (columns := self.columns) is not None:
            return plain_lines((plain_value(name, row) for name in columns) for row in self.rows)
        documents = ((row, job_document(row)) for row in self.rows)
        return plain_lines(
            (*(document[field] for field in JOBS_FIELDS), *(plain_value(name, row) for name in MORE_FIELDS))
            for row, document in documents
        )

    def json(self) -> dict[str, Json]:
        return {"jobs": [job_document(row) for row in self.rows]}

    def _chosen(self, columns: Sequence[str]) -> Table:
        return Table(
            columns=tuple(head(name, sacrifice=0) for name in columns),
            rows=tuple(tuple(cell(name, row, self.now) for name in columns) for row in self.rows),
        )

    def _usual(self, width: int | None) -> Table:
        """The usual columns; the command is as long as a terminal of `width` columns has room for it."""
        names = [name for name in self._usual_names() if self._is_worth_showing(name)]
        heading = "COMMAND (REASON)" if any(row.remark for row in self.rows) else "COMMAND"
        table = Table(
            columns=(*(head(name, sacrifice=COLUMNS[name].sacrifice) for name in names), Column(heading=heading)),
            rows=tuple(
                (*(self._cell(name, row) for name in names), _command_and_reason(row, _COMMAND_CHARS))
                for row in self.rows
            ),
        )
        if width is None:
            return table
        table = fit(table, width)
        widths = table.widths()
        room = max(width - sum(widths[:-1]) - GAP * len(widths[:-1]), LAST_NEEDS)
        lasts = [_command_and_reason(row, room) for row in self.rows]
        return replace(table, rows=tuple((*cells[:-1], last) for cells, last in zip(table.rows, lasts, strict=True)))

    def _usual_names(self) -> tuple[str, ...]:
        behind = USUAL.index("time") + 1
        used = USED if any(row.usage is not None for row in self.rows) else ()
        return (*USUAL[:behind], *used, *USUAL[behind:])

    def _is_worth_showing(self, name: str) -> bool:
        """Whether a column has a value; for the user, whether it has different ones."""
        if name == "user":
            return len({row.user for row in self.rows}) > 1
        return not COLUMNS[name].is_optional or any(COLUMNS[name].value(row) is not None for row in self.rows)

    def _cell(self, name: str, row: JobRow) -> Cell:
        return Cell(row.name[:_NAME_CHARS]) if name == "name" else cell(name, row, self.now)


def _command_and_reason(row: JobRow, room: int) -> Cell:
    chars = min(room, _COMMAND_CHARS) if row.remark else room
    command = row.command if len(row.command) <= chars else row.command[: chars - 3] + "..."
    return Cell(f"{command}  ({row.remark})" if row.remark and command else command or row.remark)
