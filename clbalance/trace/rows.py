"""Lines of a CSV file with a heading, and the numbers in them. What is wrong is told with its file and line."""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence

from clbalance.errors import TraceError
from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its cells by the names of the heading, and `where` it stands."""

    where: str
    cells: dict[str, str]

    def number(self, column: str, *, least: float = 0.0) -> float:
        """A finite number of at least `least`."""
        return _number(self.where, column, self.cells[column], least)

    def number_or_none(self, column: str, *, least: float = 0.0) -> float | None:
        """The same, or None where the cell is empty."""
        return self.number(column, least=least) if self.cells[column] else None

    def whole(self, column: str, *, least: int = 0) -> int:
        """A whole number of at least `least`."""
        return whole_number(self.where, column, self.cells[column], least)


def rows(name: str, lines: Iterable[str], columns: Sequence[str]) -> Iterator[Row]:
    """The lines under the heading of the file `name`; empty ones are skipped.

    Columns may be in any order; `TraceError` where one is missing or unknown.
    """
    reader = csv.reader(lines, strict=True, skipinitialspace=True)
    try:
        heading = [cell.strip() for cell in next(reader, [])]
        _check_heading(name, heading, columns)
        for cells in reader:
            if cells:
                where = f"{name}:{reader.line_num}"
                if len(cells) != len(heading):
                    raise TraceError(
                        f"{where}: {len(cells)} fields, where the heading has {len(heading)}",
                        hint=f"give {','.join(heading)}",
                    )
                yield Row(where, dict(zip(heading, map(str.strip, cells), strict=True)))
    except csv.Error as error:
        raise TraceError(f"{name}:{reader.line_num}: {error}", hint='comma-separated values, quoted by `"`') from error


def whole_number(where: str, column: str, text: str, least: int) -> int:
    """`text` as a whole number of at least `least`."""
    value = _number(where, column, text, least)
    if value != int(value):
        raise TraceError(f"{where}: {column} is {text[:40]!a}", hint=f"give a whole number of {least} or more")
    return int(text) if text.lstrip("+-").isdecimal() else int(value)


def _number(where: str, column: str, text: str, least: float) -> float:
    # Python reads more than files should have: `1_000`, other scripts' digits.
    plain = text.isascii() and "_" not in text
    try:
        value = float(text) if plain else math.nan
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        given = f"{column} is {text[:40]!a}" if text else f"{column} is empty"
        raise TraceError(f"{where}: {given}", hint=f"give a number of {least:g} or more")
    return value


def _check_heading(name: str, heading: Sequence[str], columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in heading]
    strange = [column for column in heading if column not in columns]
    if missing or strange or len(heading) != len(columns):
        told = [f"no column {column}" for column in missing] + [
            f"an unknown one, {column[:40]!a}" for column in strange
        ]
        raise TraceError(
            f"{name}:1: the heading has {', '.join(told) or 'a column twice'}", hint=f"begin with {','.join(columns)}"
        )
