"""A report: the values that a verb shows, which draw themselves in each form of `--format`.

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
"""Of the JSON. Keys are only ever added while it stays the same."""

_PIPE_WIDTH = 80
"""Of what is drawn to a width, where no terminal has one."""


class Report(Protocol):
    """One report. A text ends with a newline, or is empty; no method prints or fails."""

    __slots__ = ()

    def human(self, display: "Display") -> str:
        """For people: tables by `display.table`; text of strangers only through `escape_line`."""
        ...

    def plain(self) -> str:
        """For shell loops: lines of fields, by `plain_lines`."""
        ...

    def json(self) -> Mapping[str, Json] | None:
        """For programs, without `schema`. None: nothing is printed in this form."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """Where reports are shown, and in which form."""

    form: Format
    width: int | None = None
    """Of the terminal; None: there is none, and nothing is cut."""
    color: bool = False

    def text(self, report: Report) -> str:
        """What is printed of `report`."""
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
        """Of what fills the width it is given, such as a row of bars."""
        return self.width or _PIPE_WIDTH

    def table(self, table: Table, *, last: Literal["cut", "fold"]) -> str:
        """`table`, its last column cut or folded to fit. rich draws on terminals only: importing it costs 64 ms."""
        if self.width is None and not self.color:
            return aligned(table)
        from clbalance.render.rich_table import draw

        return draw(table, width=self.width, color=self.color, last=last)


def json_text(document: Mapping[str, Json]) -> str:
    """One value with its `schema` number. In ASCII: nothing in it acts on a terminal, and no locale can break it."""
    return json.dumps({"schema": SCHEMA, **document}, ensure_ascii=True, allow_nan=False) + "\n"
