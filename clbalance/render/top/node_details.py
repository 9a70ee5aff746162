"""Details of one node: its cpus, memory, pressure, traffic, history, GPUs with all who are on them."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, NodeName, Rates, Unknown
from clbalance.policy.history import SeriesLine
from clbalance.render.bars import bar, tone_of
from clbalance.render.lines import Line, padded
from clbalance.render.names import KnownNames
from clbalance.render.reports.nodes.history import HistoryReport, history_table
from clbalance.render.reports.nodes.load import reason_text, state_cell
from clbalance.render.reports.nodes.load_gpus import LoadGpusReport
from clbalance.render.sparkline import Blocks
from clbalance.render.table import GAP, Cell, Tone
from clbalance.render.text import DASH, iec, queue, span
from clbalance.render.top.table_lines import TableLines
from clbalance.render.views import NodeRow, load_per_cpu

_LABEL = 10
_BAR = 32
_CORE_BAR = 12
_MOST_BARS = 32
"""More cores have one sign each."""
_SHOWN_SERIES = frozenset({"load", "ut", "mem", "gut"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenNode:
    """What is asked of the node whose details are open, and of no other."""

    node: NodeName
    cores: Mapping[int, float | Unknown] | Unknown = field(
        default_factory=lambda: Unknown(reason="known after the next round")
    )
    """Use of each cpu since the round before, in per cent."""
    since: datetime
    until: datetime
    series: tuple[SeriesLine, ...] = ()
    """Its recorded history."""


def node_lines(row: NodeRow, looked: OpenNode | None, width: int, blocks: Blocks) -> Iterator[Line]:
    """All but its GPUs and jobs. `looked` None: it was not asked yet."""
    reason = reason_text(row)
    yield (Cell(f"{row.node}  ", Tone.STRONG), state_cell(row), Cell(f"  {reason}" if reason else ""))
    if isinstance(row.answer, Measured):
        yield from _figures(row.answer, width)
        yield ()
        yield (Cell("CPUS", Tone.STRONG),)
        cores = Unknown(reason="not asked yet") if looked is None else looked.cores
        yield from _cores(cores, width, blocks)
    if looked is not None and looked.series:
        yield ()
        yield from _history(looked, width, blocks)


def gpu_lines(row: NodeRow, names: KnownNames, width: int, blocks: Blocks) -> Iterator[Line]:
    """A line for each device, and for each further process on it."""
    table = LoadGpusReport([row], names).table().without(0)
    if table.rows:
        yield from TableLines(table, width, blocks)


def _labelled(label: str, *cells: Cell) -> Line:
    return (Cell(padded(label, _LABEL), Tone.QUIET), *cells)


def _figures(answer: Measured, width: int) -> Iterator[Line]:
    reading = answer.reading
    cpus, logins, uptime_s = reading.cpus, reading.logins, reading.uptime_s
    machine = [
        "" if isinstance(cpus, Unknown) else f"{cpus.online} cpus, {cpus.model}",
        "" if isinstance(uptime_s, Unknown) else f"up {span(uptime_s)}",
        "" if isinstance(logins, Unknown) else f"{logins} logged in",
    ]
    yield _labelled("machine", Cell(", ".join(filter(None, machine)) or DASH))
    run, load = reading.run_queue, load_per_cpu(answer)
    told = run.reason if isinstance(run, Unknown) else f"{queue(run.r1m)}  {queue(run.r5m)}  {queue(run.r15m)}"
    each = "" if isinstance(load, Unknown) else f"   {load:.2f} per cpu"
    runnable = "" if isinstance(run, Unknown) else f"   {run.rq} runnable"
    yield _labelled("run queue", Cell(told + each + runnable))
    rates = answer.rates
    use = rates if isinstance(rates, Unknown) else rates.ut_pct
    yield _share("cpu", use, "", width)
    yield from _space(answer, width)
    yield _labelled("pressure", Cell(_pressure(answer)))
    yield _labelled("disk", Cell(_traffic(rates, rates if isinstance(rates, Unknown) else rates.disk_bytes_per_s)))
    yield _labelled("network", Cell(_traffic(rates, rates if isinstance(rates, Unknown) else rates.net_bytes_per_s)))


def _space(answer: Measured, width: int) -> Iterator[Line]:
    memory, tmp = answer.reading.memory, answer.reading.tmp
    if isinstance(memory, Unknown):
        yield _share("memory", memory, "", width)
    else:
        yield _used("memory", memory.total_bytes - memory.available_bytes, memory.total_bytes, width)
        swap = memory.swap_total_bytes
        if not isinstance(swap, Unknown) and not isinstance(memory.swap_free_bytes, Unknown) and swap:
            yield _used("swap", swap - memory.swap_free_bytes, swap, width)
    if isinstance(tmp, Unknown):
        yield _share("tmp", tmp, "", width)
    else:
        yield _used("tmp", tmp.total_bytes - tmp.free_bytes, tmp.total_bytes, width, f" in {tmp.path}")


def _used(label: str, used: float, whole: float, width: int, where: str = "") -> Line:
    share: float | Unknown = 100.0 * used / whole if whole > 0 else Unknown(reason="it has no size")
    return _share(label, share, f"{iec(used)} of {iec(whole)}{where}", width)


def _share(label: str, share_pct: float | Unknown, told: str, width: int) -> Line:
    if isinstance(share_pct, Unknown):
        return _labelled(label, Cell(f"{DASH}  ({share_pct.reason})", Tone.QUIET))
    length = max(4, min(_BAR, width - _LABEL - 28))
    return _labelled(label, *bar(share_pct, length), Cell(f" {share_pct:3.0f}%  {told}"))


def _pressure(answer: Measured) -> str:
    pressure = answer.reading.pressure
    if isinstance(pressure, Unknown):
        return f"{DASH}  ({pressure.reason})"
    parts = {"cpu": pressure.cpu_pct, "memory": pressure.mem_pct, "io": pressure.io_pct}
    told = (f"{name} {DASH if isinstance(one, Unknown) else f'{one:.0f}%'}" for name, one in parts.items())
    return "  ".join(told) + "   of the time something waited"


def _traffic(rates: Rates | Unknown, value: float | Unknown) -> str:
    if isinstance(rates, Unknown):
        return f"{DASH}  ({rates.reason})"
    return f"{DASH}  ({value.reason})" if isinstance(value, Unknown) else f"{iec(value)}/s"


def _cores(cores: Mapping[int, float | Unknown] | Unknown, width: int, blocks: Blocks) -> Iterator[Line]:
    if isinstance(cores, Unknown):
        yield (Cell(f"{DASH}  ({cores.reason})", Tone.QUIET),)
    elif len(cores) <= _MOST_BARS:
        yield from _core_bars(cores, width)
    else:
        yield from _core_signs(cores, width, blocks)


def _core_bars(cores: Mapping[int, float | Unknown], width: int) -> Iterator[Line]:
    """Side by side; the numbers run downwards, as in htop."""
    numbers = sorted(cores)
    columns = max(1, min(4, (width + GAP) // (3 + _CORE_BAR + 5 + GAP)))
    rows = -(-len(numbers) // columns)
    for at in range(rows):
        line: Line = ()
        for number in numbers[at::rows]:
            line += (*_core(number, cores[number]), Cell(" " * GAP))
        yield line[:-1]


def _core(number: int, use: float | Unknown) -> Line:
    if isinstance(use, Unknown):
        return Cell(f"{number:3d}", Tone.QUIET), Cell(padded(f" {DASH}", _CORE_BAR + 5))
    return Cell(f"{number:3d}", Tone.QUIET), *bar(use, _CORE_BAR), Cell(f" {use:3.0f}%")


def _core_signs(cores: Mapping[int, float | Unknown], width: int, blocks: Blocks) -> Iterator[Line]:
    numbers = sorted(cores)
    label = len(f"{numbers[-1]}") + GAP
    length = max(8, (width - label) // 8 * 8)
    for at in range(0, len(numbers), length):
        some = numbers[at : at + length]
        yield (Cell(padded(str(some[0]), label), Tone.QUIET), *(_sign(cores[one], blocks) for one in some))


def _sign(use: float | Unknown, blocks: Blocks) -> Cell:
    if isinstance(use, Unknown):
        return Cell(DASH, Tone.QUIET)
    last = len(blocks.bars) - 1
    return Cell(blocks.bars[min(last, int(use / 100 * (last + 1)))], tone_of(use))


def _history(looked: OpenNode, width: int, blocks: Blocks) -> Iterator[Line]:
    """As `history` draws it."""
    wanted = tuple(line for line in looked.series if line.index.name in _SHOWN_SERIES)
    report = HistoryReport(
        since=looked.since, until=looked.until, nodes=((NodeName(""), wanted or looked.series[:1]),), blocks=blocks
    )
    table, axis = history_table(report, width + len("NODE") + GAP)
    yield (Cell(f"HISTORY, {span(axis.step_s)} a column, until {looked.until:%H:%M}", Tone.STRONG),)
    yield from TableLines(table.without(0), width, blocks)
