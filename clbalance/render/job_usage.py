"""What running jobs take, beside whatever else is shown of them."""

from collections.abc import Sequence

from clbalance.job import Usage
from clbalance.render.figures import DASH, duration, iec
from clbalance.render.json_value import Json
from clbalance.render.table import Cell, Column, Table

USAGE_FIELDS = ("cpu_s", "mem_bytes")
"""Of `jobs` in plain text, and keys in JSON."""

_COLUMNS = (Column(heading="CPU", align="right"), Column(heading="MEM", align="right"))


def with_usage(table: Table, usages: Sequence[Usage | None], *, behind: str) -> Table:
    """The table with two columns more behind that one, if any of its rows has something to show there."""
    if not any(usages):
        return table
    at = [column.heading for column in table.columns].index(behind) + 1
    return Table(
        columns=(*table.columns[:at], *_COLUMNS, *table.columns[at:]),
        rows=tuple((*row[:at], *_cells(usage), *row[at:]) for row, usage in zip(table.rows, usages, strict=True)),
    )


def usage_document(usage: Usage | None) -> dict[str, Json]:
    """Both keys, whatever is known."""
    if usage is None:
        return dict.fromkeys(USAGE_FIELDS)
    return {"cpu_s": usage.cpu_s, "mem_bytes": usage.mem_bytes}


def _cells(usage: Usage | None) -> tuple[Cell, Cell]:
    if usage is None:
        return Cell(DASH), Cell(DASH)
    return Cell(duration(usage.cpu_s)), Cell(iec(usage.mem_bytes))
