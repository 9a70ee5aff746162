"""`metrics`: nodes, GPUs, jobs of this host and what `rebalance` did, in Prometheus' base units."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from clbalance import __version__
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, Unknown
from clbalance.policy.ledger import ledger_of
from clbalance.render.exposition import Family, Labels, exposition
from clbalance.render.metrics_gpus import gpu_families
from clbalance.render.report import Display, Report
from clbalance.render.views import NodeRow, load_per_cpu

_Told: TypeAlias = Iterable[tuple[Labels, float]]


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
    of_nodes = [
        Family(
            name=f"clbalance_node_{name}",
            kind="gauge",
            help=words,
            samples=[((("node", one.node), *labels), value) for one in answered for labels, value in read(one)],
        )
        for name, words, read in _OF_NODES
    ]
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


def _plain(value: float | Unknown | None) -> _Told:
    return () if value is None or isinstance(value, Unknown) else (((), float(value)),)


def _run_queue(one: Measured) -> _Told:
    read = one.reading.run_queue
    if not isinstance(read, Unknown):
        yield (("span", "1m"),), read.r1m
        yield (("span", "5m"),), read.r5m
        yield (("span", "15m"),), read.r15m


def _pressure(one: Measured) -> _Told:
    read = one.reading.pressure
    if not isinstance(read, Unknown):
        yield (("resource", "cpu"),), read.cpu_pct / 100
        yield (("resource", "memory"),), read.mem_pct / 100
        yield (("resource", "io"),), read.io_pct / 100


def _of(section: str, field: str) -> Callable[[Measured], _Told]:
    """One number of a section of the reading."""

    def told(one: Measured) -> _Told:
        read = getattr(one.reading, section)
        return () if isinstance(read, Unknown) else _plain(getattr(read, field))

    return told


def _rate(field: str, scale: float = 1.0) -> Callable[[Measured], _Told]:
    def told(one: Measured) -> _Told:
        value = Unknown(why="") if isinstance(one.rates, Unknown) else getattr(one.rates, field)
        return () if isinstance(value, Unknown) else (((), value * scale),)

    return told


def _leases(one: Measured) -> _Told:
    leases = one.reading.leases
    return () if isinstance(leases, Unknown) else _plain(len(leases))


def _leased(field: str) -> Callable[[Measured], _Told]:
    def told(one: Measured) -> _Told:
        leases = one.reading.leases
        return () if isinstance(leases, Unknown) else _plain(getattr(ledger_of(one), field))

    return told


_OF_NODES: Final[tuple[tuple[str, str, Callable[[Measured], _Told]], ...]] = (
    ("load_per_cpu", "Run queue and what does not show in it yet, per cpu.", lambda one: _plain(load_per_cpu(one))),
    ("run_queue", "Length of the run queue, averaged.", _run_queue),
    ("cpus", "Cpus that are online.", _of("cpus", "online")),
    ("cpu_use_ratio", "Share of cpu time in use since it was last asked.", _rate("ut_pct", 0.01)),
    ("memory_available_bytes", "Memory that a new program may have.", _of("memory", "available_bytes")),
    ("memory_total_bytes", "Memory there is.", _of("memory", "total_bytes")),
    ("swap_free_bytes", "Swap space that is free.", _of("memory", "swap_free_bytes")),
    ("swap_total_bytes", "Swap space there is.", _of("memory", "swap_total_bytes")),
    ("tmp_free_bytes", "Space free in the temporary folder.", _of("tmp", "free_bytes")),
    ("tmp_total_bytes", "Space of the temporary folder's file system.", _of("tmp", "total_bytes")),
    ("pressure_ratio", "Share of the last ten seconds in which something waited for the resource.", _pressure),
    ("disk_bytes_per_second", "Read from and written to disks.", _rate("disk_bytes_per_s")),
    ("network_bytes_per_second", "Received and sent.", _rate("net_bytes_per_s")),
    ("logins", "Users who are logged in.", lambda one: _plain(one.reading.logins)),
    ("leases", "Leases that are held, of all users.", _leases),
    ("leased_cpus", "Cpus promised by leases.", _leased("cpus")),
    ("leased_memory_bytes", "Memory promised by leases.", _leased("mem_bytes")),
    ("uptime_seconds", "Since the node was booted.", lambda one: _plain(one.reading.uptime_s)),
    ("round_trip_seconds", "From asking to the end of the answer, connection included.", lambda one: _plain(one.rtt_s)),
)  # fmt: skip
