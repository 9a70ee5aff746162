"""Draws a table on a terminal with one line for each row, whose last column is cut to fit. Without rich, which takes
a millisecond for each row: with thousands of nodes that is longer than to ask them.
"""

from itertools import groupby

from clbalance.render.lines import SGR, columns_of, cut, padded
from clbalance.render.table import GAP, LAST_NEEDS, Cell, Table, Tone

_CUT = "…"


def draw_cut(table: Table, *, width: int | None, color: bool) -> str:
    """`table` for a terminal of `width` columns (None: any width). One that is too narrow wraps the lines itself."""
    headings = tuple(Cell(column.heading, Tone.STRONG) for column in table.columns)
    rows = (headings, *table.rows)
    widths = [max(columns_of(row[at].text) for row in rows) for at in range(len(table.columns))]
    if width is not None:
        left = width - sum(widths[:-1]) - GAP * len(widths[:-1])
        widths[-1] = min(widths[-1], max(left, LAST_NEEDS))
    return "".join(_line(row, table, widths, color=color) for row in rows)


def _line(row: tuple[Cell, ...], table: Table, widths: list[int], *, color: bool) -> str:
    texts = []
    for cell, column, width in zip(row, table.columns, widths, strict=True):
        text = padded(cut(cell.text, width, _CUT), width, right=column.align == "right")
        texts.append(_colored(text, cell) if color else text)
    return (" " * GAP).join(texts).rstrip(" ") + "\n"


def _colored(text: str, cell: Cell) -> str:
    """`text` in the tone of the cell, without colour in the blanks around it."""
    words = text.strip(" ")
    if not words:
        return text
    before, after = text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :]
    if not cell.bad:
        return f"{before}{_in(cell.tone, words)}{after}"
    parts = groupby(words, key=cell.bad.__contains__)
    styled = (_in(Tone.BAD if is_bad else cell.tone, "".join(part)) for is_bad, part in parts)
    return f"{before}{''.join(styled)}{after}"


def _in(tone: Tone, text: str) -> str:
    code = SGR[tone]
    return f"\x1b[{code}m{text}\x1b[0m" if code else text
