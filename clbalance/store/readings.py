"""The stored parts of readings: the counters of the last one, and a day of samples of each node for trends.

Rates need only the counters. Values that a row cannot hold are not stored: a node may send anything.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from sqlite3 import Connection
from typing import Final, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import CpuTicks, NodeName, Reading, Traffic, Trend, Unknown
from clbalance.model.node_history import KeptAnswer
from clbalance.ports import IndexValues, Remembered
from clbalance.store.database import storable

# Samples of the last day: a ring of `SLOTS` slots for each node, and their trends.
#
# Time is divided into spans of five minutes, and each is mapped to a slot of the ring. So the number of samples is
# bounded without a clean-up: a sample overwrites the one of `SLOTS` spans, or a multiple of that, before. `SLOTS` is
# a prime: sweeps every hour fill the ring as well as sweeps every five minutes, and rarer sweeps reach further back.
#
# A sweep reads all samples and uses few: SQLite joins those of a node into one text, which is parsed when a trend is
# read (measured: docs/design/store.md).

SLOTS: Final = 23
_SLOT_S: Final = 300
_MOST_AGE_S: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NODES_AT_ONCE: Final = 500  # SQLite before 3.32 takes 999 parameters at most


@dataclass(frozen=True, slots=True)
class TrendSample:
    """The load indices of a node in one sweep. `at_s`: seconds since 1970."""

    at_s: int
    samples: IndexValues


def trend_sample(at: datetime, samples: IndexValues) -> TrendSample:
    """A sample without values that are not finite."""
    return TrendSample(_seconds(at), {name: value for name, value in samples.items() if math.isfinite(value)})


def slot_of(at: datetime) -> int:
    """The slot in the ring for a sample at that time."""
    return _seconds(at) // _SLOT_S % SLOTS


class Trends(Mapping[str, Trend]):
    """Trends by index, computed when the first of them is read."""

    __slots__ = ("_at", "_samples", "_trends_read")

    def __init__(self, samples: Iterable[TrendSample] | str, at: datetime) -> None:
        self._samples = samples
        self._at = at
        self._trends_read: Mapping[str, Trend] | None = None

    def _trends(self) -> Mapping[str, Trend]:
        if self._trends_read is None:
            samples = map(_sample_of, self._samples.split("\n")) if isinstance(self._samples, str) else self._samples
            self._trends_read = _trends_of(samples, self._at)
        return self._trends_read

    def __getitem__(self, name: str) -> Trend:
        return self._trends()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._trends())

    def __len__(self) -> int:
        return len(self._trends())

    def __repr__(self) -> str:
        return f"Trends({dict(self)!r})"


def is_recent(sample: TrendSample, at: datetime) -> bool:
    """Whether the sample is from the day before `at`."""
    return 0 <= _seconds(at) - sample.at_s <= _MOST_AGE_S


def _trends_of(samples: Iterable[TrendSample], at: datetime) -> dict[str, Trend]:
    times: dict[str, list[int]] = {}
    values: dict[str, list[float]] = {}
    for sample in samples:
        if is_recent(sample, at):
            for name, value in sample.samples.items():
                times.setdefault(name, []).append(sample.at_s)
                values.setdefault(name, []).append(value)
    return {name: _trend(times[name], parts) for name, parts in values.items()}


def _trend(times: Sequence[int], values: Sequence[float]) -> Trend:
    count = len(values)
    mean = sum(values) / count
    # `statistics.pstdev` is exact, and takes 30 times as long.
    deviation = math.sqrt(sum([(value - mean) ** 2 for value in values]) / count)
    return Trend(
        count=count,
        mean=mean,
        deviation=deviation,
        least=min(values),
        most=max(values),
        span_s=float(max(times) - min(times)),
    )


def read_trends(connection: Connection, nodes: Sequence[NodeName], at: datetime) -> dict[NodeName, Trends]:
    """The trends of each node that has samples."""
    found: dict[NodeName, Trends] = {}
    now_s = _seconds(at)
    for start in range(0, len(nodes), _NODES_AT_ONCE):
        some = nodes[start : start + _NODES_AT_ONCE]
        # Our JSON contains no newlines.
        query = (
            "SELECT node, group_concat(at_s || ' ' || told, char(10)) FROM look"  # noqa: S608 (only our own text)
            f" WHERE node IN ({', '.join('?' * len(some))}) AND at_s BETWEEN ? AND ? GROUP BY node"
        )
        for node, text in connection.execute(query, (*some, now_s - _MOST_AGE_S, now_s)):
            found[NodeName(node)] = Trends(text, at)
    return found


def forget_other_boots(connection: Connection, boots: Mapping[NodeName, str | None]) -> None:
    """Delete samples from other boots of these nodes. Call it before these boots are written to the table `reading`."""
    connection.executemany(
        "DELETE FROM look WHERE node = ?1 AND EXISTS (SELECT 1 FROM reading WHERE node = ?1 AND boot_id IS NOT ?2)",
        boots.items(),
    )


def write_trend_samples(connection: Connection, at: datetime, samples: Mapping[NodeName, IndexValues]) -> None:
    """Store one sample of each node."""
    slot = slot_of(at)
    trend_samples = ((node, slot, trend_sample(at, values)) for node, values in samples.items())
    connection.executemany(
        "INSERT OR REPLACE INTO look (node, slot, at_s, told) VALUES (?, ?, ?, ?)",
        ((storable(node), slot, sample.at_s, json.dumps(sample.samples)) for node, slot, sample in trend_samples),
    )
    if slot == 0:  # every two hours or so, for nodes that do not exist any more
        connection.execute("DELETE FROM look WHERE at_s < ?", (_seconds(at) - _MOST_AGE_S,))


# The last answers of nodes, whole: by them a placement that needs few nodes chooses which it asks.

_MOST_ANSWER_BYTES: Final = 64 << 10
"""A longer one is not kept: the node then counts as one that has not been asked."""


def read_answers(connection: Connection, nodes: Sequence[NodeName], since: datetime) -> dict[NodeName, KeptAnswer]:
    """The answers of these nodes that came since then."""
    found: dict[NodeName, KeptAnswer] = {}
    since_us = _microseconds(since)
    for start in range(0, len(nodes), _NODES_AT_ONCE):
        some = nodes[start : start + _NODES_AT_ONCE]
        marks = ", ".join("?" * len(some))
        query = f"SELECT node, at_us, content FROM answer WHERE node IN ({marks}) AND at_us >= ?"  # noqa: S608 (only our own text)
        for node, at_us, content in connection.execute(query, (*some, since_us)):
            # A damaged database may hold any type in any column.
            if (at := _instant(at_us)) is not None and isinstance(content, bytes):
                found[NodeName(node)] = KeptAnswer(at, content)
    return found


def write_answers(
    connection: Connection, at: datetime, came_at: Mapping[NodeName, datetime], answers: Mapping[NodeName, bytes]
) -> None:
    """Replace the answers of these nodes; delete those of nodes that were not asked for a day."""
    connection.executemany(
        "INSERT OR REPLACE INTO answer (node, at_us, content) VALUES (?, ?, ?)",
        (
            (storable(node), _microseconds(came_at.get(node, at)), content)
            for node, content in answers.items()
            if is_kept(content)
        ),
    )
    connection.executemany(
        "DELETE FROM answer WHERE node = ?",
        ((storable(node),) for node, content in answers.items() if not is_kept(content)),
    )
    if slot_of(at) == 0:
        connection.execute("DELETE FROM answer WHERE at_us < ?", (_microseconds(at) - _MOST_AGE_S * 1_000_000,))


def is_kept(content: bytes) -> bool:
    """Whether it is not too long."""
    return len(content) <= _MOST_ANSWER_BYTES


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _instant(at_us: object) -> datetime | None:
    """None: it is no instant."""
    try:
        return _EPOCH + timedelta(microseconds=at_us) if isinstance(at_us, int) else None
    except OverflowError:
        return None


def _seconds(at: datetime) -> int:
    return int((at - _EPOCH).total_seconds())


def _sample_of(line: str) -> TrendSample:
    """The sample in a line; an empty one if it is invalid (a damaged database may hold anything)."""
    at_s, _, message = line.partition(" ")
    try:
        read = json.loads(message)
        number = int(at_s)
    except (ValueError, RecursionError):
        return TrendSample(0, {})
    samples = read.items() if isinstance(read, dict) else ()
    return TrendSample(
        number, {name: value for name, value in samples if isinstance(value, float) and math.isfinite(value)}
    )


COLUMNS = (
    "at_us, boot_id, uptime_s, ticks_busy, ticks_total,"
    " disk_read_bytes, disk_written_bytes, net_received_bytes, net_sent_bytes"
)

Cell: TypeAlias = str | int | float | None
Row: TypeAlias = tuple[Cell, ...]

_NOT_KEPT = Unknown(reason="not remembered")
_NOT_KNOWN = Unknown(reason="not known when the node was last asked")
_LARGEST = 2**63 - 1
"""SQLite's largest integer. The kernel's counters are unsigned, and may be twice as large."""


def row_of(at: datetime, reading: Reading) -> Row:
    """The cells of `COLUMNS` for a reading."""
    return (
        _microseconds(at),
        boot_of(reading),
        None if isinstance(reading.uptime_s, Unknown) else float(reading.uptime_s),
        *_ticks_cells(reading.cpu_ticks),
        *_traffic_cells(reading.disk),
        *_traffic_cells(reading.net),
    )


def boot_of(reading: Reading) -> str | None:
    """The boot id as it is stored; None if it is unknown."""
    return None if isinstance(reading.boot_id, Unknown) else storable(reading.boot_id)


def remembered(row: Sequence[Cell]) -> Remembered | None:
    """The reading in a row; None if its time is invalid (a damaged database may hold any type in any column)."""
    at_us, boot_id, uptime_s, *counters = row
    if (at := _instant(at_us)) is None:
        return None
    return Remembered(
        at=at,
        reading=Reading(
            boot_id=boot_id if isinstance(boot_id, str) else _NOT_KNOWN,
            uptime_s=uptime_s if isinstance(uptime_s, float) else _NOT_KNOWN,
            cpu_ticks=_ticks(counters[:2]),
            disk=_traffic(counters[2:4]),
            net=_traffic(counters[4:]),
            run_queue=_NOT_KEPT,
            cpus=_NOT_KEPT,
            memory=_NOT_KEPT,
            pressure=_NOT_KEPT,
            tmp=_NOT_KEPT,
            logins=_NOT_KEPT,
            gpu_mps=_NOT_KEPT,
            python=_NOT_KEPT,
            gpus=_NOT_KEPT,
            uid=_NOT_KEPT,
            leases=_NOT_KEPT,
            drains=_NOT_KEPT,
            job_folder=_NOT_KEPT,
            may_drain_for_all=_NOT_KEPT,
            limits=_NOT_KEPT,
        ),
    )


def _ticks_cells(ticks: CpuTicks | Unknown) -> Row:
    match ticks:
        case CpuTicks(busy=busy, total=total):
            return _held(busy, total)
        case Unknown():
            return (None,) * 2


def _ticks(cells: Sequence[Cell]) -> CpuTicks | Unknown:
    match cells:
        case (int(busy), int(total)):
            return CpuTicks(busy=busy, total=total)
        case _:
            return _NOT_KNOWN


def _traffic_cells(traffic: Traffic | Unknown) -> Row:
    match traffic:
        case Traffic(in_bytes=received, out_bytes=sent):
            return _held(received, sent)
        case Unknown():
            return (None,) * 2


def _traffic(cells: Sequence[Cell]) -> Traffic | Unknown:
    match cells:
        case (int(received), int(sent)):
            return Traffic(in_bytes=received, out_bytes=sent)
        case _:
            return _NOT_KNOWN


def _held(*counters: int) -> Row:
    """The counters; all None if one does not fit: a section is stored whole or not at all."""
    return counters if all(0 <= counter <= _LARGEST for counter in counters) else (None,) * len(counters)
