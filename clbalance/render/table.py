"""A table as a value, how it is fitted to a width, and its plain drawing for pipes.

Importing rich costs more than all of this table's work, so rich draws on terminals only (`rich_table`).
Text of strangers stands in the last column alone, where its width disturbs nobody.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Literal

from clbalance.lazy_dataclass import dataclass
from clbalance.render.text import escape_line

GAP = 2
"""Blanks between columns."""
_LAST_WANTS = 24
"""Width for which lesser columns give way; a reason of that length says which kind of trouble it is."""
LAST_NEEDS = 12
"""Width for which the others give way too; a terminal too narrow even so wraps the lines itself."""
_LESSER = 3
"""From this `sacrifice` on."""


class Tone(StrEnum):
    """How a cell feels, on top of what its text says."""

    PLAIN = "plain"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of text. It passes the gate of `untrusted` here, so no drawing can forget it."""

    text: str
    tone: Tone = Tone.PLAIN

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", escape_line(self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`sacrifice` 0: always shown; otherwise the highest goes first where there is too little room."""

    heading: str
    align: Literal["left", "right"] = "left"
    sacrifice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows as long as `columns`; the last column is as wide as it likes, and is cut or folded to fit."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def widths(self) -> list[int]:
        """Characters that each column needs."""
        return [
            max(len(column.heading), *(len(row[at].text) for row in self.rows), 0)
            for at, column in enumerate(self.columns)
        ]

    def without(self, at: int) -> "Table":
        """The same table less one column."""
        return replace(
            self,
            columns=self.columns[:at] + self.columns[at + 1 :],
            rows=tuple(row[:at] + row[at + 1 :] for row in self.rows),
        )


def fit(table: Table, width: int) -> Table:
    """`table` less the columns that `width` has no room for, least important first."""
    while True:
        at = max(range(len(table.columns)), key=lambda i: table.columns[i].sacrifice)
        sacrifice = table.columns[at].sacrifice
        wanted = _LAST_WANTS if sacrifice >= _LESSER else LAST_NEEDS
        if sacrifice == 0 or _width(table, wanted) <= width:
            return table
        table = table.without(at)


def _width(table: Table, last: int) -> int:
    """Characters of a line when the last column is cut to `last`."""
    widths = table.widths()
    return sum(widths[:-1]) + GAP * len(widths[:-1]) + min(widths[-1], last)


def aligned(table: Table, *, headings: bool = True) -> str:
    """The table with blanks between columns: nothing cut, no control character but the newlines."""
    widths = table.widths()
    lines = [[column.heading for column in table.columns]] if headings else []
    lines += [[cell.text for cell in row] for row in table.rows]
    return "".join(_line(line, table.columns, widths) for line in lines)


def _line(texts: list[str], columns: tuple[Column, ...], widths: list[int]) -> str:
    padded = [
        text.rjust(width) if column.align == "right" else text.ljust(width)
        for text, column, width in zip(texts, columns, widths, strict=True)
    ]
    return (" " * GAP).join(padded).rstrip(" ") + "\n"
