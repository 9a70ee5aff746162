"""Reports: the values that a verb shows, with methods that write them in each form of `--format`.

Each is a frozen dataclass in a file of its own below `render/reports/`. It reads no option, environment, clock or
store.
"""

import json
from collections.abc import Mapping
from typing import Literal, Protocol, assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.render.format import Format
from clbalance.render.table import Table, aligned, fit, full_width, left_out
from clbalance.render.text import Json

SCHEMA = 1
"""The version of the JSON documents. While it stays the same, keys are only added."""

_LEAST_FOR_A_REMARK = 40  # columns; a line of less would say nothing
_PIPE_WIDTH = 80
"""Columns for drawings without a terminal."""


class Report(Protocol):
    """One report. A text ends with a newline, or is empty; no method prints or fails."""

    __slots__ = ()

    def human(self, display: "Display") -> str:
        """For people: tables by `display.table`; text from nodes and users only through `escape_line`."""
        ...

    def plain(self) -> str:
        """For shell loops: lines of fields, by `plain_lines`."""
        ...

    def json(self) -> Mapping[str, Json] | None:
        """For programs, without `schema`. None: nothing is printed in this form."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """The form of a report, and the terminal that it is shown on."""

    form: Format
    width: int | None = None
    """Columns of the terminal, or as `COLUMNS` says; None: neither, and nothing is cut."""
    color: bool = False

    def text(self, report: Report) -> str:
        """The text of `report` in this form."""
        match self.form:
            case Format.HUMAN:
                return report.human(self)
            case Format.PLAIN:
                return report.plain()
            case Format.JSON:
                document = report.json()
                return "" if document is None else json_text(document)
            case _:
                assert_never(self.form)

    @property
    def drawing_width(self) -> int:
        """Columns for a drawing that fills the width, such as a row of bars."""
        return self.width or _PIPE_WIDTH

    def table(self, table: Table, *, last: Literal["cut", "fold"]) -> str:
        """`table` with the columns that fit, the last one cut or folded; below it the others are named.

        rich is used only to fold where there is a width or colour: its import takes 64 ms, and each row one more.
        """
        if self.width is None and not self.color:
            return aligned(table)
        shown = table if self.width is None else fit(table, self.width)
        if last == "cut":
            from clbalance.render.cut_table import draw_cut

            text = draw_cut(shown, width=self.width, color=self.color)
        else:
            from clbalance.render.rich_table import draw_folded

            text = draw_folded(shown, width=self.width, color=self.color)
        return text + self.left_out(table, shown)

    def left_out(self, table: Table, shown: Table) -> str:
        """A line that names the columns of `table` that `shown` lacks; empty: none."""
        names = left_out(table, shown)
        if not names or self.width is None or self.width < _LEAST_FOR_A_REMARK:
            return ""
        columns = "column" if len(names) == 1 else "columns"
        return f"{len(names)} {columns} more at {full_width(table)}: {' '.join(names)}"[: self.width] + "\n"


def json_text(document: Mapping[str, Json]) -> str:
    """A document with its `schema` number. It is ASCII: it cannot control a terminal, and any locale can show it."""
    return json.dumps({"schema": SCHEMA, **document}, ensure_ascii=True, allow_nan=False) + "\n"
