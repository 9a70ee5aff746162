"""`load`: LSF's indices. As in `lsload`, `*` marks those past their threshold, and `-` is unknown."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, Silent, Unknown
from clbalance.policy.indices.external import external_in, row_of
from clbalance.policy.indices.row import AnsweredNode, Index, Unit
from clbalance.policy.indices.table import COLUMNS, PLAIN
from clbalance.render.gpus import gpu_states, gpus_reason, gpus_summary
from clbalance.render.node_json import node_document
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, iec, queue
from clbalance.render.views import NodeRow, least_loaded_first

_STATE_TONES = {"up": Tone.GOOD, "down": Tone.BAD, "unknown": Tone.BAD, "unfit": Tone.BAD}


LOAD_FIELDS = (
    "name", "state", "r1m", "r5m", "r15m", "rq", "cpus", "ut_pct", "mem_available_bytes", "mem_total_bytes",
    "swp_free_bytes", "tmp_free_bytes", "psi_cpu_pct", "psi_mem_pct", "psi_io_pct", "ls", "score", "reason",
    "leases", "gpu_states", *(index.json for index in PLAIN),
)  # fmt: skip
"""The fields in plain text. The names are the JSON keys, but `leases` is the number of leases, and `gpu_states` has one
word for each of the node's GPUs, joined by commas."""


@dataclass(frozen=True, slots=True)
class LoadReport(Report):
    """The load of nodes; shown least loaded first."""

    rows: Sequence[NodeRow]

    def human(self, display: Display) -> str:
        return display.table(load_table(self.rows), last="cut")

    def plain(self) -> str:
        """The `LOAD_FIELDS` of each node."""
        return plain_lines(load_fields(row) for row in least_loaded_first(self.rows))

    def json(self) -> dict[str, Json]:
        return {"nodes": [node_document(row) for row in least_loaded_first(self.rows)]}


def load_fields(row: NodeRow) -> list[Json]:
    """The `LOAD_FIELDS` of a node."""
    states = gpu_states(row.answer) if isinstance(row.answer, Measured) else None
    document = {**node_document(row), "gpu_states": states}
    return [document[field] for field in LOAD_FIELDS]


def load_table(rows: Sequence[NodeRow]) -> Table:
    """`rows`, least loaded first. There is a column for GPUs and for reasons only if there are any."""
    ordered = least_loaded_first(rows)
    external = external_columns(rows)
    has_gpus = any(map(may_have_gpus, ordered))
    reasons = [reason_text(row) for row in ordered]
    has_reasons = any(reasons)
    return Table(
        columns=(
            Column(heading="NODE"),
            Column(heading="STATE"),
            *(figure.column for figure in (*FIGURES, *external)),
            *((_GPUS,) if has_gpus else ()),
            *((Column(heading="REASON"),) if has_reasons else ()),
        ),
        rows=tuple(
            (
                Cell(row.node),
                state_cell(row),
                *figure_cells(row, (*FIGURES, *external)),
                *((gpus_cell(row),) if has_gpus else ()),
                *((Cell(reason),) if has_reasons else ()),
            )
            for row, reason in zip(ordered, reasons, strict=True)
        ),
    )


def state_cell(row: NodeRow) -> Cell:
    """The node's state in its colour."""
    return Cell(row.state, _STATE_TONES.get(row.state, Tone.WARN))


def reason_text(row: NodeRow) -> str:
    """The reason of the node, and the problems of its GPUs."""
    of_gpus = gpus_reason(row.answer) if isinstance(row.answer, Measured) else ""
    return "; ".join(reason for reason in (row.reason, of_gpus) if reason)


@dataclass(frozen=True, slots=True)
class _Figure:
    """One column of the table; several indices in it are joined by a slash."""

    column: Column
    indices: tuple[Index, ...]


def _figures(indices: Iterable[Index]) -> tuple[_Figure, ...]:
    by_heading = groupby(((index.column, index) for index in indices if index.column), lambda one: one[0].heading)
    groups = [list(group) for _, group in by_heading]
    return tuple(
        _Figure(
            Column(heading=group[0][0].heading, align="right", sacrifice=group[0][0].sacrifice),
            tuple(index for _, index in group),
        )
        for group in groups
    )


FIGURES = _figures(COLUMNS)
"""The columns of load indices."""


def external_columns(rows: Sequence[NodeRow]) -> tuple[_Figure, ...]:
    """The columns of the indices of the site's own programs."""
    return _figures(map(row_of, external_in(row.answer for row in rows)))


_UNKNOWN = Cell(DASH, Tone.QUIET)


def figure_cells(row: NodeRow, figures: Sequence[_Figure] = FIGURES) -> list[Cell]:
    """The cells of these columns."""
    if isinstance(row.answer, Silent):
        return [_UNKNOWN] * len(figures)
    node = AnsweredNode.of(row.answer)
    return [_cell(figure, node, row.violated) for figure in figures]


def _cell(figure: _Figure, node: AnsweredNode, violated: frozenset[str]) -> Cell:
    """The cell of a column. `*` marks the index that is compared with the threshold: the load per cpu, not `r1m`."""
    parts = []
    is_marked = False
    for index in figure.indices:
        value = index.read(node)
        if isinstance(value, Unknown):
            return _UNKNOWN
        is_past = index.threshold is not None and index.violated in violated
        is_marked |= is_past
        parts.append(("*" if is_past else "") + _text(index, value))
    return Cell("/".join(parts), Tone.WARN if is_marked else Tone.PLAIN)


def _text(index: Index, value: float) -> str:
    if index.column and index.column.form:
        return index.column.form.format(value)
    match index.unit:
        case Unit.BYTES:
            return iec(value)
        case Unit.KIB_PER_S:
            return iec(1024 * value)
        case Unit.PERCENT:
            return f"{value:.0f}%"
        case Unit.COUNT:
            return f"{value:.0f}"
        case Unit.PROCESSES | Unit.PER_CPU:
            return queue(value)


# In a narrow terminal, columns that do not decide a placement are left out first (`sacrifice` in the table of indices).
_GPUS = Column(heading="GPUS", align="right", sacrifice=1)


def may_have_gpus(row: NodeRow) -> bool:
    """Whether the node has devices, or does not tell."""
    return isinstance(row.answer, Measured) and row.answer.reading.gpus != ()


def gpus_cell(row: NodeRow) -> Cell:
    """How many devices are in which state."""
    if isinstance(row.answer, Silent) or isinstance(row.answer.reading.gpus, Unknown):
        return _UNKNOWN
    return Cell(gpus_summary(row.answer, row.answer.reading.gpus) if row.answer.reading.gpus else "0")
