"""The rows of a table as lines of a width, each made once: a key changes few of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from clbalance.policy.top.state import TopState
from clbalance.render.lines import Line, cut, padded
from clbalance.render.sparkline import Blocks
from clbalance.render.table import GAP, Cell, Column, Table, Tone, fit
from clbalance.render.top.item import Items


class TableLines:
    """A table whose columns fit the width. Lines are made when they are first asked for."""

    def __init__(self, table: Table, width: int, blocks: Blocks) -> None:
        self._table = fit(table, width)
        self._blocks = blocks
        self._widths = self._table.widths()
        left = width - sum(self._widths[:-1]) - GAP * len(self._widths[:-1])
        self._widths[-1] = max(1, min(self._widths[-1], left))
        self._made: dict[int, Line] = {}
        self.headings = self._line([Cell(column.heading, Tone.STRONG) for column in self._table.columns])

    def row(self, at: int) -> Line:
        """The row at this place."""
        if at not in self._made:
            self._made[at] = self._line(self._table.rows[at])
        return self._made[at]

    def __iter__(self) -> Iterator[Line]:
        """The headings and all rows."""
        yield self.headings
        yield from map(self.row, range(len(self._table.rows)))

    def _line(self, cells: Sequence[Cell]) -> Line:
        last, mark = len(cells) - 1, self._blocks.cut
        made = []
        for at, (cell, column, width) in enumerate(zip(cells, self._table.columns, self._widths, strict=True)):
            text = padded(cut(cell.text, width, mark), width, right=column.align == "right")
            made.append(Cell(text if at == last else text + " " * GAP, cell.tone))
        return tuple(made)


def whole_table(items: Items, state: TopState) -> Table:
    """All rows and all columns."""
    rows = tuple(tuple(value.cell for value in item.values) for item in items.items)
    return Table(columns=_headings(items, state), rows=rows)


def _headings(items: Items, state: TopState) -> tuple[Column, ...]:
    """The column by which rows are sorted has a sign."""
    order, columns = state.place.order, [one.column for one in items.columns]
    if order.column is not None and order.column < len(columns):
        column = columns[order.column]
        columns[order.column] = replace(column, heading=column.heading + ("v" if order.is_falling else "^"))
    return tuple(columns)
