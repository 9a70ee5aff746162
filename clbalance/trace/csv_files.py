"""Jobs and nodes from CSV files with a header line. Errors name the file and the line."""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from clbalance.errors import NodeNameError, TraceError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, NodeName, Request
from clbalance.model.trace import Arrival, Trace, in_order_of_submit
from clbalance.nodeset import check_node_name
from clbalance.trace.nodes import idle_gpus, idle_node


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its cells by column name; `where` is its file and line."""

    where: str
    cells: dict[str, str]

    def number(self, column: str, *, least: float = 0.0) -> float:
        """A finite number of at least `least`; `TraceError` otherwise."""
        return _number(self.where, column, self.cells[column], least)

    def number_or_none(self, column: str, *, least: float = 0.0) -> float | None:
        """The same; None for an empty cell."""
        return self.number(column, least=least) if self.cells[column] else None

    def whole(self, column: str, *, least: int = 0) -> int:
        """A whole number of at least `least`; `TraceError` otherwise."""
        return whole_number(self.where, column, self.cells[column], least)


def rows(name: str, lines: Iterable[str], columns: Sequence[str]) -> Iterator[Row]:
    """The lines under the header line of the file `name`; empty lines are skipped.

    Columns may be in any order; `TraceError` if one is missing or unknown.
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
    """`text` as a whole number of at least `least`; `TraceError` otherwise."""
    value = _number(where, column, text, least)
    if value != int(value):
        raise TraceError(f"{where}: {column} is {text[:40]!a}", hint=f"give a whole number of {least} or more")
    return int(text) if text.lstrip("+-").isdecimal() else int(value)


def _number(where: str, column: str, text: str, least: float) -> float:
    # Python's `float` also takes `1_000` and digits of other scripts; files must not have them.
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
        parts = [f"no column {column}" for column in missing] + [
            f"an unknown one, {column[:40]!a}" for column in strange
        ]
        raise TraceError(
            f"{name}:1: the heading has {', '.join(parts) or 'a column twice'}", hint=f"begin with {','.join(columns)}"
        )


# -- jobs: `job,submit_s,duration_s,cpus,mem_bytes,gpus,gpu_share,gpu_model`

JOB_COLUMNS: Final = ("job", "submit_s", "duration_s", "cpus", "mem_bytes", "gpus", "gpu_share", "gpu_model")
_WHOLE: Final = 1000


def parse_jobs(name: str, lines: Iterable[str]) -> Trace:
    """The jobs of the file `name`, by `submit_s`; `TraceError` for a malformed line.

    Each job runs on one node. Its duration is also its estimate, because the file has no estimates.
    """
    return Trace(arrivals=in_order_of_submit([_arrival(row) for row in rows(name, lines, JOB_COLUMNS)]))


def _arrival(row: Row) -> Arrival:
    duration_s = row.number_or_none("duration_s")
    gpus = row.whole("gpus")
    models = [model.strip() for model in row.cells["gpu_model"].split("|")]
    return Arrival(
        job=row.cells["job"],
        submit_s=row.number("submit_s"),
        duration_s=duration_s,
        estimate_s=duration_s,
        request=Request(
            cpus=row.number("cpus"),
            mem_bytes=row.whole("mem_bytes"),
            gpus=gpus,
            gpu_share=_share(row, gpus),
            gpu_models=frozenset(model for model in models if model) if gpus else frozenset(),
            slots=0,
        ),
    )


def _share(row: Row, gpus: int) -> float:
    thousandths = row.whole("gpu_share") if row.cells["gpu_share"] else _WHOLE
    if gpus == 0 or thousandths == _WHOLE:
        return 1.0
    if gpus == 1 and 0 < thousandths < _WHOLE:
        return thousandths / _WHOLE
    raise TraceError(
        f"{row.where}: gpu_share is {thousandths} of {gpus} GPUs",
        hint="give 1 to 999 thousandths of one GPU; leave it empty for whole ones",
    )


# -- nodes: `name,cpus,mem_bytes,gpus,gpu_model,gpu_mem_bytes`

NODE_COLUMNS: Final = ("name", "cpus", "mem_bytes", "gpus", "gpu_model", "gpu_mem_bytes")


def parse_nodes(name: str, lines: Iterable[str]) -> tuple[Measured, ...]:
    """The nodes of the file `name`, empty; `TraceError` for a malformed line."""
    found: dict[NodeName, Measured] = {}
    for row in rows(name, lines, NODE_COLUMNS):
        node = _node(row)
        if node.node in found:
            raise TraceError(f"{row.where}: there is a node {node.node} already", hint="give each node one line")
        found[node.node] = node
    if not found:
        raise TraceError(f"{name}: there is no node in it", hint="give each node a line below the heading")
    return tuple(found.values())


def _node(row: Row) -> Measured:
    try:
        name = check_node_name(row.cells["name"])
    except NodeNameError as error:
        raise TraceError(f"{row.where}: {error.message}", hint=error.hint) from error
    count = row.whole("gpus")
    gpus = idle_gpus(name, count=count, model=row.cells["gpu_model"], mem_bytes=_gpu_mem_bytes(row)) if count else ()
    return idle_node(name, cpus=row.whole("cpus", least=1), mem_bytes=row.whole("mem_bytes", least=1), gpus=gpus)


def _gpu_mem_bytes(row: Row) -> int:
    return row.whole("gpu_mem_bytes") if row.cells["gpu_mem_bytes"] else 0
