"""The table of load indices: all properties of each index in one place (docs/design/indices.md). Pure.

A row defines how an index is read from a node that answered, and where it appears: in `--where` and `--order`, as a
column and a JSON key of `load`, as a threshold, in history, as a metric. All code that shows or compares indices uses
this table. The columns are in `policy/indices/row.py`, the readers in `policy/indices/readers.py`.
"""

from collections.abc import Callable
from typing import Final

from clbalance.policy.indices import readers
from clbalance.policy.indices.row import Column, History, Index, Metric, Series, Threshold, Unit

_RUN_QUEUE = "Length of the run queue, averaged."
_PRESSURE = "Share of the last ten seconds in which something waited for the resource."

INDICES: Final = (
    Index(
        name="r1m",
        unit=Unit.PROCESSES,
        read=readers.r1m,
        effective=readers.effective_r1m,
        json="r1m",
        column=Column(heading="r1m", sacrifice=6),
        history=History(key="r1m_per_cpu", per_cpu=readers.r1m_per_cpu, in_trends=True, in_forecasts=True),
        metric=Metric(name="run_queue", help=_RUN_QUEUE, labels=(("span", "1m"),)),
    ),
    Index(
        name="r5m",
        unit=Unit.PROCESSES,
        read=readers.of_queue(lambda queue: queue.r5m),
        json="r5m",
        column=Column(heading="r5m", sacrifice=11),
        metric=Metric(name="run_queue", help=_RUN_QUEUE, labels=(("span", "5m"),)),
    ),
    Index(
        name="r15m",
        unit=Unit.PROCESSES,
        read=readers.of_queue(lambda queue: queue.r15m),
        json="r15m",
        column=Column(heading="r15m", sacrifice=10),
        metric=Metric(name="run_queue", help=_RUN_QUEUE, labels=(("span", "15m"),)),
    ),
    Index(
        name="rq",
        unit=Unit.COUNT,
        read=readers.of_queue(lambda queue: queue.rq),
        json="rq",
        column=Column(heading="rq", sacrifice=7),
    ),
    Index(
        name="load",
        unit=Unit.PER_CPU,
        read=readers.load_per_cpu,
        in_expressions=False,
        json="r1m_per_cpu",
        column=Column(heading="r1m/cpu"),
        # Without the cpu factor: the threshold is about whether the cpus are taken, not how fast they are.
        threshold=Threshold(key="r1m_per_cpu", words="load", default=1.0, most=1000, reported_as="r1m"),
        history=History(key="load_per_cpu"),
        metric=Metric(name="load_per_cpu", help="Run queue and what does not show in it yet, per cpu."),
    ),
    Index(
        name="ut",
        unit=Unit.PERCENT,
        read=readers.ut_pct,
        json="ut_pct",
        column=Column(heading="UT"),
        threshold=Threshold(key="ut_pct", words="cpu use"),
        history=History(key="ut_pct", in_trends=True, in_forecasts=True),
        metric=Metric(name="cpu_use_ratio", help="Share of cpu time in use since it was last asked."),
    ),
    Index(
        name="io",
        unit=Unit.KIB_PER_S,
        read=readers.of_rates(lambda rates: readers.kib(rates.disk_bytes_per_s)),
        json="disk_bytes_per_s",
        column=Column(heading="IO", sacrifice=9),
        threshold=Threshold(key="io_kib_per_s", words="disk traffic", most=1_000_000_000),
        history=History(key="io_kib_per_s"),
        metric=Metric(name="disk_bytes_per_second", help="Read from and written to disks."),
    ),
    Index(
        name="net",
        unit=Unit.KIB_PER_S,
        read=readers.of_rates(lambda rates: readers.kib(rates.net_bytes_per_s)),
        json="net_bytes_per_s",
        column=Column(heading="NET", sacrifice=9),
        threshold=Threshold(key="net_kib_per_s", words="network traffic", most=1_000_000_000),
        history=History(key="net_kib_per_s"),
        metric=Metric(name="network_bytes_per_second", help="Received and sent."),
    ),
    Index(
        name="mem",
        unit=Unit.BYTES,
        read=readers.of_memory(lambda memory: memory.available_bytes),
        effective=readers.effective_mem,
        whole=readers.mem_total,
        share=readers.of_memory(readers.mem_available_pct),
        json="mem_available_bytes",
        column=Column(heading="MEM"),
        threshold=Threshold(key="mem_available_pct", words="available memory", default=5.0, is_floor=True),
        history=History(key="mem_available_pct"),
        metric=Metric(name="memory_available_bytes", help="Memory that a new program may have."),
    ),
    Index(
        name="mem_total",
        unit=Unit.BYTES,
        read=readers.mem_total,
        json="mem_total_bytes",
        column=Column(heading="MEM"),
        metric=Metric(name="memory_total_bytes", help="Memory there is."),
    ),
    Index(
        name="swp",
        unit=Unit.BYTES,
        read=readers.of_memory(lambda memory: memory.swap_free_bytes),
        whole=readers.swp_total,
        json="swp_free_bytes",
        column=Column(heading="SWP", sacrifice=9),
        metric=Metric(name="swap_free_bytes", help="Swap space that is free."),
    ),
    Index(
        name="swp_total",
        unit=Unit.BYTES,
        read=readers.swp_total,
        in_expressions=False,
        json="swp_total_bytes",
        metric=Metric(name="swap_total_bytes", help="Swap space there is."),
    ),
    Index(
        name="tmp",
        unit=Unit.BYTES,
        read=readers.of_tmp(lambda tmp: tmp.free_bytes),
        whole=readers.tmp_total,
        share=readers.of_tmp(readers.tmp_free_pct),
        json="tmp_free_bytes",
        column=Column(heading="TMP", sacrifice=5),
        threshold=Threshold(key="tmp_free_pct", words="free tmp", is_floor=True),
        history=History(key="tmp_free_pct"),
        metric=Metric(name="tmp_free_bytes", help="Space free in the temporary folder."),
    ),
    Index(
        name="tmp_total",
        unit=Unit.BYTES,
        read=readers.tmp_total,
        in_expressions=False,
        json="tmp_total_bytes",
        metric=Metric(name="tmp_total_bytes", help="Space of the temporary folder's file system."),
    ),
    Index(
        name="ls",
        unit=Unit.COUNT,
        read=lambda node: node.answer.reading.logins,
        json="ls",
        column=Column(heading="LS", sacrifice=8),
        metric=Metric(name="logins", help="Users who are logged in."),
    ),
    Index(
        name="psi_cpu",
        unit=Unit.PERCENT,
        read=readers.psi_cpu_pct,
        json="psi_cpu_pct",
        column=Column(heading="PSI", sacrifice=4, form="{:.0f}"),
        threshold=Threshold(key="psi_cpu_pct", words="cpu pressure"),
        history=History(key="psi_cpu_pct"),
        metric=Metric(name="pressure_ratio", help=_PRESSURE, labels=(("resource", "cpu"),)),
    ),
    Index(
        name="psi_mem",
        unit=Unit.PERCENT,
        read=readers.psi_mem_pct,
        json="psi_mem_pct",
        column=Column(heading="PSI", sacrifice=4, form="{:.0f}"),
        threshold=Threshold(key="psi_mem_pct", words="memory pressure"),
        history=History(key="psi_mem_pct"),
        metric=Metric(name="pressure_ratio", help=_PRESSURE, labels=(("resource", "memory"),)),
    ),
    Index(
        name="psi_io",
        unit=Unit.PERCENT,
        read=readers.psi_io_pct,
        json="psi_io_pct",
        column=Column(heading="PSI", sacrifice=4, form="{:.0f}"),
        threshold=Threshold(key="psi_io_pct", words="io pressure"),
        history=History(key="psi_io_pct"),
        metric=Metric(name="pressure_ratio", help=_PRESSURE, labels=(("resource", "io"),)),
    ),
    Index(
        name="cpus",
        unit=Unit.COUNT,
        read=readers.of_cpus(lambda cpus: cpus.online),
        json="cpus",
        column=Column(heading="CPUS", sacrifice=2),
        history=History(key="cpus"),
        metric=Metric(name="cpus", help="Cpus that are online."),
    ),
    Index(
        name="leases",
        unit=Unit.COUNT,
        read=readers.leases,
        in_expressions=False,
        column=Column(heading="LEASES", sacrifice=3),
        history=History(key="leases"),
        metric=Metric(name="leases", help="Leases that are held, of all users."),
    ),
    Index(
        name="leased_cpus",
        unit=Unit.COUNT,
        read=readers.leased_cpus,
        in_expressions=False,
        history=History(key="leased_cpus"),
    ),
    Index(
        name="drained",
        unit=Unit.PERCENT,
        read=readers.drained_pct,
        in_expressions=False,
        history=History(key="drained_pct"),
    ),
    Index(name="gpus", unit=Unit.COUNT, read=readers.gpus, in_expressions=False, history=History(key="gpus")),
)
"""All indices, in the order of JSON and of the hints of expressions."""


def _named(names: str) -> tuple[Index, ...]:
    rows = {index.name: index for index in INDICES}
    return tuple(rows[name] for name in names.split())


def _ordered(appears: Callable[[Index], object], names: str = "") -> tuple[Index, ...]:
    """The rows that `appears` selects: first those in `names`, then the others in the order of the table."""
    first = _named(names)
    return tuple(filter(appears, (*first, *(index for index in INDICES if index not in first))))


# Orders that differ from that of the table; indices that are not named here come last.
EXPRESSIONS: Final = _ordered(lambda index: index.in_expressions)
COLUMNS: Final = _ordered(
    lambda index: index.column,
    "r1m r5m r15m load rq cpus ut mem mem_total swp tmp psi_cpu psi_mem psi_io io net ls leases",
)
THRESHOLDS: Final = _ordered(lambda index: index.threshold, "load mem ut tmp psi_cpu psi_mem psi_io")
HISTORY: Final = _ordered(lambda index: index.history, "r1m load ut mem psi_cpu psi_mem psi_io tmp leases")
TRENDS: Final = tuple(index for index in HISTORY if index.history and index.history.in_trends)
FORECASTS: Final = tuple(index.series for index in HISTORY if index.history and index.history.in_forecasts)
METRICS: Final = _ordered(
    lambda index: index.metric,
    "load r1m r5m r15m cpus ut mem mem_total swp swp_total tmp tmp_total psi_cpu psi_mem psi_io io net ls leases",
)
PLAIN: Final = _named("io net")
"""Fields of `load --format plain` after the first twenty. Scripts count fields: append new ones at the end only."""

ANSWERS: Final = Series(name="up", key="answered_pct", unit=Unit.PERCENT)
"""The share of sweeps that the node answered."""
NODE_SERIES: Final = tuple(index.series for index in HISTORY)
GPU_SERIES: Final = (
    Series(name="gut", key="use_pct", unit=Unit.PERCENT),
    Series(name="gmem", key="mem_pct", unit=Unit.PERCENT),
    Series(name="gleased", key="leased_pct", unit=Unit.PERCENT),
    Series(name="gidle", key="idle_pct", unit=Unit.PERCENT),
)
