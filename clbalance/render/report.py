"""Reports: the values that a verb shows, with methods that write them in each form of `--format`.

Each is a frozen dataclass in a file of its own below `render/reports/`. It reads no option, environment, clock or
store.
"""

import json
from collections.abc import Mapping
from typing import Literal, Protocol, assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.render.format import Format
from clbalance.render.table import Table, aligned
from clbalance.render.text import Json

SCHEMA = 1
"""The version of the JSON documents. While it stays the same, keys are only added."""

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
    """Columns of the terminal; None: there is no terminal, and nothing is cut."""
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
        """`table`, its last column cut or folded to fit. rich is used only on terminals: its import takes 64 ms."""
        if self.width is None and not self.color:
            return aligned(table)
        from clbalance.render.rich_table import draw

        return draw(table, width=self.width, color=self.color, last=last)


def json_text(document: Mapping[str, Json]) -> str:
    """A document with its `schema` number. It is ASCII: it cannot control a terminal, and any locale can show it."""
    return json.dumps({"schema": SCHEMA, **document}, ensure_ascii=True, allow_nan=False) + "\n"
