"""Lines of coloured text of a known width, for drawings that are no tables.

A line is a tuple of cells, whose text is escaped when they are made (`table.Cell`): nothing in it moves the cursor or
has a style of its own.
"""

import unicodedata
from collections.abc import Iterable
from typing import Final, TypeAlias

from clbalance.render.table import Cell, Tone

Line: TypeAlias = tuple[Cell, ...]

SGR: Final = {
    Tone.PLAIN: "",
    Tone.GOOD: "32",
    Tone.WARN: "33",
    Tone.BAD: "1;31",
    Tone.QUIET: "90",
    Tone.STRONG: "1",
    Tone.CHOSEN: "7",
}
"""The terminal's own colours, as `rich_table` uses them: the theme of the user decides how they look."""


def columns_of(text: str) -> int:
    """How many columns of a terminal `text` takes: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def cut(text: str, width: int, mark: str) -> str:
    """As much of `text` as has room in `width` columns, with `mark` at its end where something is missing."""
    if columns_of(text) <= width:
        return text
    if width <= len(mark):
        return mark[:width]
    kept, left = [], width - len(mark)
    for character in text:
        left -= _columns(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept) + mark


def cut_line(line: Line, width: int, mark: str) -> Line:
    """The cells that have room, the last one cut."""
    kept: list[Cell] = []
    left = width
    for cell in line:
        columns = columns_of(cell.text)
        if columns > left:
            if text := cut(cell.text, left, mark):
                kept.append(Cell(text, cell.tone))
            break
        kept.append(cell)
        left -= columns
    return tuple(kept)


def line_text(line: Line, *, color: bool) -> str:
    """One line for a terminal, with a newline."""
    return "".join(_styled(cell, color=color) for cell in line).rstrip(" ") + "\n"


def padded(text: str, width: int, *, right: bool = False) -> str:
    """`text` with blanks to `width` columns."""
    blanks = " " * (width - columns_of(text))
    return blanks + text if right else text + blanks


def lines_text(lines: Iterable[Line], *, color: bool) -> str:
    """The same of many lines."""
    return "".join(line_text(line, color=color) for line in lines)


def _styled(cell: Cell, *, color: bool) -> str:
    code = SGR[cell.tone] if color else ""
    return f"\x1b[{code}m{cell.text}\x1b[0m" if code and cell.text else cell.text
