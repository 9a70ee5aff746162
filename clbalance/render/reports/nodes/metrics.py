"""`metrics`: nodes, GPUs, jobs and the counters of `rebalance`, in Prometheus' base units and text format."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import groupby
from typing import Final, Literal, TypeAlias

from clbalance import __version__
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Gpu, Measured, NodeName, Unknown
from clbalance.model.forecast import NodeForecast
from clbalance.policy.allocations import NodeAllocations
from clbalance.policy.indices.external import external_in
from clbalance.policy.indices.row import AnsweredNode, Metric
from clbalance.policy.indices.table import FORECASTS, METRICS
from clbalance.policy.placement.gpus import GpuCondition
from clbalance.render.gpus import gpu_conditions
from clbalance.render.report import Display, Report
from clbalance.render.text import escape_line
from clbalance.render.views import NodeRow

# Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).

Labels: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One metric, and its samples with their labels."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: Sequence[tuple[Labels, float]]


def exposition(families: Iterable[Family]) -> str:
    """The text of all families. Unknown values have no samples, and families without samples are left out."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    parsed: dict[Labels, float] = {}
    for labels, value in family.samples:
        if math.isfinite(value):
            parsed.setdefault(labels, value)  # Prometheus refuses a file with the same sample twice
    if parsed:
        yield f"# HELP {family.name} {_escaped(family.help)}\n"
        yield f"# TYPE {family.name} {family.kind}\n"
    for labels, value in parsed.items():
        named = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels)
        yield f"{family.name}{{{named}}} {_number(value)}\n" if named else f"{family.name} {_number(value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    """A label value. It may come from a node, so everything that could control a terminal is escaped."""
    return escape_line(text).replace("\\", r"\\").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.12g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsReport(Report):
    """The answers of one sweep, and the jobs and counters of this host."""

    rows: Sequence[NodeRow]
    jobs: Mapping[str, int]
    """Number of jobs by state, among the newest in the journal."""
    queued: int
    counters: Mapping[str, float]
    sweep_s: float
    at_s: float
    """Seconds since 1970."""
    forecasts: Mapping[NodeName, NodeForecast] = field(default_factory=dict)
    """What was expected of the nodes, for the errors of that."""
    ahead_s: float = 1800.0
    """How far ahead they look."""
    version: str = __version__
    """Of the program."""

    def human(self, display: Display) -> str:
        return metrics_text(self)

    def plain(self) -> str:
        return metrics_text(self)

    def json(self) -> None:
        """Nothing: the metrics are in Prometheus' format, and `load --json` has the same nodes as JSON."""


def metrics_text(report: MetricsReport) -> str:
    """All families that have a sample."""
    answered = [row.answer for row in report.rows if isinstance(row.answer, Measured)]
    of_nodes = _families(list(map(AnsweredNode.of, answered)))
    of_site = site_families(answered)
    of_forecasts = _forecast_families(report.forecasts, f"{report.ahead_s / 60:.0f}m")
    of_host = _of_this_host(report)
    return exposition([*_of_rows(report.rows), *of_nodes, *of_site, *of_forecasts, *gpu_families(answered), *of_host])


def _of_rows(rows: Sequence[NodeRow]) -> Iterator[Family]:
    yield Family(
        name="clbalance_node_up",
        kind="gauge",
        help="Whether the node answered.",
        samples=[((("node", row.node),), float(isinstance(row.answer, Measured))) for row in rows],
    )
    yield Family(
        name="clbalance_node_state",
        kind="gauge",
        help="1 for the state that the node is in.",
        samples=[((("node", row.node), ("state", row.state)), 1.0) for row in rows],
    )
    yield Family(
        name="clbalance_node_score",
        kind="gauge",
        help="How well a job of one cpu would be placed on it, 0 to 100; nodes that take none have no score.",
        samples=[((("node", row.node),), row.score) for row in rows if row.score is not None],
    )


def _of_this_host(report: MetricsReport) -> Iterator[Family]:
    yield Family(
        name="clbalance_jobs",
        kind="gauge",
        help="Jobs of this host by state, of the newest 1000.",
        samples=[((("state", state),), float(count)) for state, count in report.jobs.items()],
    )
    yield _single("clbalance_jobs_queued", "Pending jobs of this host that rebalance may start.", report.queued)
    for name, words in _COUNTERS.items():
        if name in report.counters:
            message = name.replace("last_run_seconds", "last_run_timestamp_seconds")
            is_counter = name.endswith("_total")
            yield Family(
                name=f"clbalance_{message}",
                kind="counter" if is_counter else "gauge",
                help=words,
                samples=[((), report.counters[name])],
            )
    yield _single("clbalance_sweep_duration_seconds", "How long it took to ask all nodes.", report.sweep_s)
    yield _single("clbalance_scrape_timestamp_seconds", "When the nodes were asked.", report.at_s)
    yield Family(
        name="clbalance_build_info",
        kind="gauge",
        help="The version of clbalance that wrote this.",
        samples=[((("version", report.version),), 1.0)],
    )


def _single(name: str, words: str, value: float) -> Family:
    return Family(name=name, kind="gauge", help=words, samples=[((), value)])


_COUNTERS: Final = {
    "rebalance_runs_total": "Runs of rebalance on this host.",
    "rebalance_moves_total": "Jobs that rebalance has moved.",
    "rebalance_moves_failed_total": "Moves that failed.",
    "rebalance_started_total": "Waiting jobs that rebalance has started.",
    "rebalance_score_before": "How uneven the load was before the last run (standard deviation of levels).",
    "rebalance_score_after": "How uneven it was to be after the last run.",
    "rebalance_last_run_seconds": "When rebalance last ran.",
}
"""Help texts by the names of the counters in the store."""


def _families(nodes: Sequence[AnsweredNode]) -> Iterator[Family]:
    """The load indices, then other facts of nodes. Unknown values have no sample."""
    metrics = ((index.metric, index) for index in METRICS if index.metric)
    for name, group in groupby(metrics, lambda one: one[0].name):
        parts = list(group)
        yield Family(
            name=f"clbalance_node_{name}",
            kind="gauge",
            help=parts[0][0].help,
            samples=[
                (_labels(node, metric), value * index.unit.metric)
                for node in nodes
                for metric, index in parts
                if not isinstance(value := index.read(node), Unknown)
            ],
        )
    for name, words, read in _FACTS:
        yield Family(
            name=f"clbalance_node_{name}",
            kind="gauge",
            help=words,
            samples=[
                ((("node", node.answer.node),), value) for node in nodes if not isinstance(value := read(node), Unknown)
            ],
        )


def _labels(node: AnsweredNode, metric: Metric) -> Labels:
    return (("node", node.answer.node), *metric.labels)


_ReadFact: TypeAlias = Callable[[AnsweredNode], float | Unknown]


def _leased(figure: Callable[[NodeAllocations], float]) -> _ReadFact:
    def told(node: AnsweredNode) -> float | Unknown:
        leases = node.answer.reading.leases
        return leases if isinstance(leases, Unknown) else figure(node.allocations)

    return told


_FACTS: Final[tuple[tuple[str, str, _ReadFact], ...]] = (
    ("leased_cpus", "Cpus promised by leases.", _leased(lambda ledger: ledger.cpus)),
    ("leased_memory_bytes", "Memory promised by leases.", _leased(lambda ledger: ledger.mem_bytes)),
    ("uptime_seconds", "Since the node was booted.", lambda one: one.answer.reading.uptime_s),
    ("round_trip_seconds", "From asking to the end of the answer, connection included.", lambda one: one.answer.rtt_s),
)  # fmt: skip


# What forecasts are worth.


def _forecast_families(forecasts: Mapping[NodeName, NodeForecast], ahead: str) -> Iterator[Family]:
    """The usual error of the forecast of each index, and that of the last value, which is the error to beat."""
    found = [
        (node, index, expected)
        for node, one in forecasts.items()
        for index in FORECASTS
        if (expected := one.expected.get(index.key)) is not None
    ]
    for by, words in (("forecast", "the forecast"), ("last_value", "the last value, taken for a forecast")):
        yield Family(
            name=f"clbalance_node_{by}_error",
            kind="gauge",
            help=f"Mean absolute error of {words}: of run queues per cpu, of ratios for cpu use.",
            samples=[
                ((("node", node), ("index", index.name), ("ahead", ahead)), error * index.unit.metric)
                for node, index, expected in found
                if (error := expected.error if by == "forecast" else expected.last_error) is not None
            ],
        )


# The metrics of the site's own programs.


def site_families(answered: Sequence[Measured]) -> Iterator[Family]:
    """One family for each external index, in its own unit, and one for all health checks."""
    for index in external_in(answered):
        yield Family(
            name=f"clbalance_index_{index.name}",
            kind="gauge",
            help=index.help or f"The index {index.name} of this site.",
            samples=[
                ((("node", one.node),), value)
                for one in answered
                if not isinstance(value := one.site.value(index.name), Unknown)
            ],
        )
    yield Family(
        name="clbalance_node_check",
        kind="gauge",
        help="Health checks of this site: 0 ok, 1 warning, 2 critical, 3 unknown.",
        samples=[
            ((("node", one.node), ("check", check.name)), float(check.state.value))
            for one in answered
            for check in one.site.checks
        ],
    )


# The metrics of GPUs.

_GPU_HELP = {
    "use_ratio": "Share of time in which something was computed.",
    "memory_used_bytes": "Memory in use, whoever uses it.",
    "memory_total_bytes": "Memory there is.",
    "temperature_celsius": "Temperature.",
    "leased_ratio": "Share of the device that leases promise.",
    "state": "1 for the state that the device is in.",
}


def gpu_families(answered: Sequence[Measured]) -> list[Family]:
    """One family for each metric of `_GPU_HELP`, with the devices of all nodes."""
    parsed: dict[str, list[tuple[Labels, float]]] = {name: [] for name in _GPU_HELP}
    for one in answered:
        gpus = one.reading.gpus
        for gpu, share, found in () if isinstance(gpus, Unknown) else gpu_conditions(one, gpus):
            labels = (("node", one.node), ("gpu", str(gpu.index)), ("uuid", gpu.uuid), ("model", gpu.model))
            for name, more, value in _samples(gpu, share, found):
                parsed[name].append(((*labels, *more), value))
    return [
        Family(name=f"clbalance_gpu_{name}", kind="gauge", help=_GPU_HELP[name], samples=samples)
        for name, samples in parsed.items()
    ]


def _samples(gpu: Gpu, share: float, found: GpuCondition) -> Iterator[tuple[str, Labels, float]]:
    if not isinstance(gpu.use_pct, Unknown):
        yield "use_ratio", (), gpu.use_pct / 100
    if not isinstance(gpu.temperature_c, Unknown):
        yield "temperature_celsius", (), gpu.temperature_c
    if not isinstance(gpu.mem_used_bytes, Unknown):
        yield "memory_used_bytes", (), float(gpu.mem_used_bytes)
    if not isinstance(gpu.mem_total_bytes, Unknown):
        yield "memory_total_bytes", (), float(gpu.mem_total_bytes)
    yield "leased_ratio", (), share
    yield "state", (("state", found.state.replace(" ", "_")),), 1.0
