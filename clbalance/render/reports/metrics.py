"""`metrics`: nodes, GPUs, jobs of this host and what `rebalance` did, in Prometheus' base units."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, TypeAlias

from clbalance import __version__
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, Unknown
from clbalance.policy.index import AnsweredNode, Metric
from clbalance.policy.indices import METRICS
from clbalance.policy.ledger import Ledger
from clbalance.render.exposition import Family, Labels, exposition
from clbalance.render.metrics_gpus import gpu_families
from clbalance.render.report import Display, Report
from clbalance.render.views import NodeRow


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsReport(Report):
    """One sweep and what this host remembers."""

    rows: Sequence[NodeRow]
    jobs: Mapping[str, int]
    """By state, of the newest that are remembered."""
    queued: int
    tallies: Mapping[str, float]
    sweep_s: float
    at_s: float
    """Seconds since 1970."""
    version: str = __version__
    """Of the program."""

    def human(self, display: Display) -> str:
        return metrics_text(self)

    def plain(self) -> str:
        return metrics_text(self)

    def json(self) -> None:
        """Prometheus has its own format, and `load --json` the same nodes."""


def metrics_text(report: MetricsReport) -> str:
    """All families that have a sample."""
    answered = [row.answer for row in report.rows if isinstance(row.answer, Measured)]
    of_nodes = _families(list(map(AnsweredNode.of, answered)))
    return exposition([*_of_rows(report.rows), *of_nodes, *gpu_families(answered), *_of_this_host(report)])


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
    for name, words in _TALLIES.items():
        if name in report.tallies:
            told = name.replace("last_run_seconds", "last_run_timestamp_seconds")
            is_counter = name.endswith("_total")
            yield Family(
                name=f"clbalance_{told}",
                kind="counter" if is_counter else "gauge",
                help=words,
                samples=[((), report.tallies[name])],
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


_TALLIES: Final = {
    "rebalance_runs_total": "Runs of rebalance on this host.",
    "rebalance_moves_total": "Jobs that rebalance has moved.",
    "rebalance_moves_failed_total": "Moves that came to nothing.",
    "rebalance_started_total": "Waiting jobs that rebalance has started.",
    "rebalance_score_before": "How uneven the load was before the last run (standard deviation of levels).",
    "rebalance_score_after": "How uneven it was to be after the last run.",
    "rebalance_last_run_seconds": "When rebalance last ran.",
}
"""By the names under which they are kept."""


def _families(nodes: Sequence[AnsweredNode]) -> Iterator[Family]:
    """The load indices, then what else is known of a node. What is unknown has no sample."""
    metrics = ((index.metric, index) for index in METRICS if index.metric)
    for name, group in groupby(metrics, lambda one: one[0].name):
        told = list(group)
        yield Family(
            name=f"clbalance_node_{name}",
            kind="gauge",
            help=told[0][0].help,
            samples=[
                (_labels(node, metric), value * index.unit.metric)
                for node in nodes
                for metric, index in told
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


def _leased(figure: Callable[[Ledger], float]) -> _ReadFact:
    def told(node: AnsweredNode) -> float | Unknown:
        leases = node.answer.reading.leases
        return leases if isinstance(leases, Unknown) else figure(node.ledger)

    return told


_FACTS: Final[tuple[tuple[str, str, _ReadFact], ...]] = (
    ("leased_cpus", "Cpus promised by leases.", _leased(lambda ledger: ledger.cpus)),
    ("leased_memory_bytes", "Memory promised by leases.", _leased(lambda ledger: ledger.mem_bytes)),
    ("uptime_seconds", "Since the node was booted.", lambda one: one.answer.reading.uptime_s),
    ("round_trip_seconds", "From asking to the end of the answer, connection included.", lambda one: one.answer.rtt_s),
)  # fmt: skip
