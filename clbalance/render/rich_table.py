"""Draws a table on a terminal by rich, its last column folded to fit.

Cells are `Text`, never markup: `rack[a-c]` must stay as it is.
"""

import io

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from clbalance.render.table import GAP, LAST_NEEDS, Cell, Table, Tone

_STYLES = {
    Tone.PLAIN: "",
    Tone.GOOD: "green",
    Tone.WARN: "yellow",
    Tone.BAD: "bold red",
    Tone.QUIET: "bright_black",
    Tone.STRONG: "bold",
    Tone.CHOSEN: "reverse",
}


def draw_folded(table: Table, *, width: int | None, color: bool) -> str:
    """`table` for a terminal of `width` columns (None: any width). One that is too narrow wraps the lines itself."""
    widths = table.widths()
    if width is not None:
        left = width - sum(widths[:-1]) - GAP * len(widths[:-1])
        widths[-1] = min(widths[-1], max(left, LAST_NEEDS))
    drawn = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column, needs in zip(table.columns, widths, strict=True):
        drawn.add_column(
            Text(column.heading),
            justify=column.align,
            width=needs,
            overflow="fold",
        )
    for row in table.rows:
        drawn.add_row(*(_text(cell) for cell in row))
    return _printed(drawn, sum(widths) + GAP * len(widths), color=color)


def _text(cell: Cell) -> Text:
    text = Text(cell.text, style=_STYLES[cell.tone])
    for at, character in enumerate(cell.text):
        if character in cell.bad:
            text.stylize(_STYLES[Tone.BAD], at, at + 1)
    return text


def _printed(drawn: RichTable, width: int, *, color: bool) -> str:
    screen = io.StringIO()
    console = Console(
        file=screen,
        width=width,
        height=25,  # set, so that rich asks neither the terminal nor the environment
        force_terminal=color,
        color_system="standard" if color else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )
    console.print(drawn)
    return "".join(line.rstrip(" ") + "\n" for line in screen.getvalue().split("\n")[:-1])
