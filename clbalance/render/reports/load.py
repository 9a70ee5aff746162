"""`load`: LSF's indices, `*` before those past their threshold (as `lsload` does), `-` for unknown."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, RunQueue, Silent, Unknown
from clbalance.render.figures import DASH, iec, queue
from clbalance.render.gpus import gpu_states, gpus_reason, gpus_summary
from clbalance.render.json_value import Json
from clbalance.render.node_document import node_document
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.views import NodeRow, least_loaded_first, load_per_cpu

_STATE_TONES = {"up": Tone.GOOD, "down": Tone.BAD, "unknown": Tone.BAD}


LOAD_FIELDS = (
    "name", "state", "r1m", "r5m", "r15m", "rq", "cpus", "ut_pct", "mem_available_bytes", "mem_total_bytes",
    "swp_free_bytes", "tmp_free_bytes", "psi_cpu_pct", "psi_mem_pct", "psi_io_pct", "ls", "score", "reason",
    "leases", "gpu_states",
)  # fmt: skip
"""In plain text; the names are those of the JSON keys, but `leases` is how many there are, and `gpu_states` one word
for each of the node's GPUs, joined by commas."""


@dataclass(frozen=True, slots=True)
class LoadReport(Report):
    """The load of nodes; shown least loaded first."""

    rows: Sequence[NodeRow]

    def human(self, display: Display) -> str:
        return display.table(load_table(self.rows), last="cut")

    def plain(self) -> str:
        """`LOAD_FIELDS`."""
        return plain_lines(_fields(row) for row in least_loaded_first(self.rows))

    def json(self) -> dict[str, Json]:
        return {"nodes": [node_document(row) for row in least_loaded_first(self.rows)]}


def _fields(row: NodeRow) -> list[Json]:
    states = gpu_states(row.answer) if isinstance(row.answer, Measured) else None
    document = {**node_document(row), "gpu_states": states}
    return [document[field] for field in LOAD_FIELDS]


def load_table(rows: Sequence[NodeRow]) -> Table:
    """`rows` least loaded first; GPUs and reasons get a column only where there are any."""
    ordered = least_loaded_first(rows)
    figures = [figure for figure in _FIGURES if figure.told is not _gpus or any(map(_may_have_gpus, ordered))]
    reasons = [_reason(row) for row in ordered]
    has_reasons = any(reasons)
    return Table(
        columns=(
            Column(heading="NODE"),
            Column(heading="STATE"),
            *(figure.column for figure in figures),
            *((Column(heading="REASON"),) if has_reasons else ()),
        ),
        rows=tuple(
            (
                Cell(row.node),
                Cell(row.state, _STATE_TONES.get(row.state, Tone.WARN)),
                *(_cell(figure, row) for figure in figures),
                *((Cell(reason),) if has_reasons else ()),
            )
            for row, reason in zip(ordered, reasons, strict=True)
        ),
    )


def _reason(row: NodeRow) -> str:
    """The node's own, and what is to be said of its GPUs."""
    of_gpus = gpus_reason(row.answer) if isinstance(row.answer, Measured) else ""
    return "; ".join(reason for reason in (row.reason, of_gpus) if reason)


def _may_have_gpus(row: NodeRow) -> bool:
    return isinstance(row.answer, Measured) and row.answer.reading.gpus != ()


@dataclass(frozen=True, slots=True)
class _Part:
    """A figure, and the index by whose threshold it is marked."""

    text: str
    index: str = ""


_Told: TypeAlias = tuple[_Part, ...] | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    """One column, told of a node that answered; several parts are joined by a slash."""

    column: Column
    told: Callable[[Measured], _Told]


def _cell(figure: _Figure, row: NodeRow) -> Cell:
    told = Unknown(why="silent") if isinstance(row.answer, Silent) else figure.told(row.answer)
    if isinstance(told, Unknown):
        return Cell(DASH, Tone.QUIET)
    marks = ["*" if part.index in row.violated else "" for part in told]
    text = "/".join(mark + part.text for mark, part in zip(marks, told, strict=True))
    return Cell(text, Tone.WARN if any(marks) else Tone.PLAIN)


def _run_queue(figure: Callable[[RunQueue], str]) -> Callable[[Measured], _Told]:
    def told(measured: Measured) -> _Told:
        run_queue = measured.reading.run_queue
        return run_queue if isinstance(run_queue, Unknown) else (_Part(figure(run_queue)),)

    return told


def _r1m_per_cpu(measured: Measured) -> _Told:
    # The mark stands here and not at the raw r1m: thresholds are held against the figure per cpu.
    load = load_per_cpu(measured)
    return load if isinstance(load, Unknown) else (_Part(queue(load), "r1m"),)


def _cpus(measured: Measured) -> _Told:
    cpus = measured.reading.cpus
    return cpus if isinstance(cpus, Unknown) else (_Part(str(cpus.online)),)


def _ut(measured: Measured) -> _Told:
    rates = measured.rates
    return rates if isinstance(rates, Unknown) else (_Part(f"{rates.ut_pct:.0f}%", "ut"),)


def _mem(measured: Measured) -> _Told:
    memory = measured.reading.memory
    if isinstance(memory, Unknown):
        return memory
    return _Part(iec(memory.available_bytes), "mem"), _Part(iec(memory.total_bytes))


def _swp(measured: Measured) -> _Told:
    memory = measured.reading.memory
    return memory if isinstance(memory, Unknown) else (_Part(iec(memory.swap_free_bytes)),)


def _tmp(measured: Measured) -> _Told:
    tmp = measured.reading.tmp
    return tmp if isinstance(tmp, Unknown) else (_Part(iec(tmp.free_bytes), "tmp"),)


def _psi(measured: Measured) -> _Told:
    pressure = measured.reading.pressure
    if isinstance(pressure, Unknown):
        return pressure
    return (
        _Part(f"{pressure.cpu_pct:.0f}", "psi_cpu"),
        _Part(f"{pressure.mem_pct:.0f}", "psi_mem"),
        _Part(f"{pressure.io_pct:.0f}", "psi_io"),
    )


def _ls(measured: Measured) -> _Told:
    logins = measured.reading.logins
    return logins if isinstance(logins, Unknown) else (_Part(str(logins)),)


def _leases(measured: Measured) -> _Told:
    leases = measured.reading.leases
    return leases if isinstance(leases, Unknown) else (_Part(str(len(leases))),)


def _gpus(measured: Measured) -> _Told:
    gpus = measured.reading.gpus
    return gpus if isinstance(gpus, Unknown) else (_Part(gpus_summary(measured, gpus) if gpus else "0"),)


def _right(heading: str, told: Callable[[Measured], _Told], sacrifice: int = 0) -> _Figure:
    return _Figure(column=Column(heading=heading, align="right", sacrifice=sacrifice), told=told)


# Numbers say in which order columns give way on a narrow terminal: what does not decide a placement goes first.
_FIGURES = (
    _right("r1m", _run_queue(lambda q: queue(q.r1m)), 6),
    _right("r5m", _run_queue(lambda q: queue(q.r5m)), 11),
    _right("r15m", _run_queue(lambda q: queue(q.r15m)), 10),
    _right("r1m/cpu", _r1m_per_cpu),
    _right("rq", _run_queue(lambda q: str(q.rq)), 7),
    _right("CPUS", _cpus, 2),
    _right("UT", _ut),
    _right("MEM", _mem),
    _right("SWP", _swp, 9),
    _right("TMP", _tmp, 5),
    _right("PSI", _psi, 4),
    _right("LS", _ls, 8),
    _right("LEASES", _leases, 3),
    _right("GPUS", _gpus, 1),
)
