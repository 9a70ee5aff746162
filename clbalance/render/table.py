"""A table as a value: fit it to a width, and draw it without rich, for pipes.

Terminals get it by `cut_table`, or by `rich_table` where text is folded. Text of unknown width, such as reasons, is in
the last column only, so that it does not move others.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Literal

from clbalance.lazy_dataclass import dataclass
from clbalance.render.text import escape_line

GAP = 2
"""Blanks between columns."""
_LAST_WANTS = 24
"""Width of the last column for which less important columns are left out; it shows the kind of a problem."""
LAST_NEEDS = 12
"""Width of the last column for which the others are left out too; beyond that, the terminal wraps the lines itself."""
_LESS_IMPORTANT = 3
"""Columns with this `sacrifice` or more."""


class Tone(StrEnum):
    """The meaning of a cell's colour."""

    PLAIN = "plain"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    QUIET = "quiet"
    STRONG = "strong"
    CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of text. It is escaped here by `escape_line`, so that no drawing can forget it."""

    text: str
    tone: Tone = Tone.PLAIN
    bad: str = ""
    """Characters of the text that are shown in the tone BAD, whatever that of the cell is."""

    def __post_init__(self) -> None:
        if not (self.text.isascii() and self.text.isprintable()):  # most are, and a frame has thousands
            object.__setattr__(self, "text", escape_line(self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading and its alignment. `sacrifice` 0: always shown; else the highest is left out first to save space."""

    heading: str
    align: Literal["left", "right"] = "left"
    sacrifice: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows as long as `columns`. The last column may have any width, and is cut or folded to fit."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def widths(self) -> list[int]:
        """The width of each column in characters."""
        return [
            max(len(column.heading), *(len(row[at].text) for row in self.rows), 0)
            for at, column in enumerate(self.columns)
        ]

    def without(self, at: int) -> "Table":
        """The same table without one column."""
        return replace(
            self,
            columns=self.columns[:at] + self.columns[at + 1 :],
            rows=tuple(row[:at] + row[at + 1 :] for row in self.rows),
        )


def fit(table: Table, width: int) -> Table:
    """`table` without the columns that do not fit into `width`; the least important are left out first.

    Columns are left out before names are cut.
    """
    while True:
        at = max(range(len(table.columns)), key=lambda i: table.columns[i].sacrifice)
        sacrifice = table.columns[at].sacrifice
        wanted = _LAST_WANTS if sacrifice >= _LESS_IMPORTANT else LAST_NEEDS
        if sacrifice == 0 or _width(table, wanted) <= width:
            return table
        table = table.without(at)


def left_out(table: Table, shown: Table) -> tuple[str, ...]:
    """The headings of the columns of `table` that `shown` lacks."""
    return tuple(column.heading for column in table.columns if column not in shown.columns)


def full_width(table: Table) -> int:
    """The width in characters at which `fit` leaves out no column."""
    return _width(table, _LAST_WANTS)


def _width(table: Table, last: int) -> int:
    """The width of a line in characters, with the last column cut to `last`."""
    widths = table.widths()
    return sum(widths[:-1]) + GAP * len(widths[:-1]) + min(widths[-1], last)


def aligned(table: Table, *, headings: bool = True) -> str:
    """The table with blanks between columns: nothing is cut, and the only control characters are newlines."""
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
