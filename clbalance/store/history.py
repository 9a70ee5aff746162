"""The history of nodes over a year, in tiers: minutes of a day, ten minutes of two weeks, hours of a year.

Each sweep adds a row per node to its minute. The first sweep after the end of ten minutes summarises those, and the
first after an hour the hour. Then the oldest rows are deleted, by age and by number. All that is in the transaction
of the sweep. Rows are in order of time, so a sweep writes to a few pages, for any number of nodes (measured:
docs/design/history.md).

Numbers are stored as hundredths, in integers: SQLite needs one or two bytes for these, and eight for a fraction.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.node_history import Aggregate, NodeSample, SeriesPoint
from clbalance.policy.indices.table import GPU_SERIES, NODE_SERIES
from clbalance.store.database import storable, transaction
from clbalance.store.usage import leases


@dataclass(frozen=True, slots=True)
class _Tier:
    span_s: int
    kept_s: int


_TIERS: Final = (_Tier(60, 86_400), _Tier(600, 14 * 86_400), _Tier(3600, 365 * 86_400))
MOST_ROWS: Final = 500_000
"""Most rows of each tier in each table."""
_AHEAD_S: Final = 86_400
"""Rows further in the future were written with a wrong clock, and are deleted."""
_PER_ONE: Final = 100
_MOST_HELD: Final = 1e12
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NODES_AT_ONCE: Final = 500  # SQLite before 3.32 takes 999 parameters at most


@dataclass(frozen=True, slots=True)
class _Table:
    """One of the two tables. SQL statements are built from these names only, which are our own."""

    name: str
    keys: tuple[str, ...]
    """The key columns after tier and slot_s."""
    counts: tuple[str, ...]
    indices: tuple[str, ...]
    parts: tuple[str, ...] = ()
    """The column that counts the rows which a row sums up; NULL in minutes."""


_OF_NODES: Final = _Table(
    "past", ("node",), ("asked", "silent"), tuple(index.key for index in NODE_SERIES), parts=("parts",)
)
_OF_GPUS: Final = _Table("past_gpu", ("node", "gpu"), (), tuple(index.key for index in GPU_SERIES))
_TABLES: Final = (_OF_NODES, _OF_GPUS)
_BOUNDED: Final = (*(table.name for table in _TABLES), leases.TABLE)
"""The tables of which old rows are deleted."""


def add_columns(connection: Connection) -> None:
    """Add three columns for each load index that this database does not have yet.

    So a new index needs no migration. A program without that index can use the same database: it names its columns.
    """
    if not _missing(connection):
        return
    with transaction(connection):
        for table, name in _missing(connection):  # read again: another process may have been quicker
            connection.execute(f"ALTER TABLE {table.name} ADD COLUMN {name} INTEGER")


def _missing(connection: Connection) -> list[tuple[_Table, str]]:
    found = []
    for table in _TABLES:
        there = {name for name, *_ in connection.execute(f"SELECT * FROM {table.name} LIMIT 0").description}  # noqa: S608 (only our own text)
        found += [(table, name) for name in _columns(table) if name not in there]
    return found


def _columns(table: _Table) -> Iterator[str]:
    """The column of the value or mean, then least and most. Those two are NULL if they equal the value."""
    for key in table.indices:
        yield from (key, f"least_{key}", f"most_{key}")


def write_past(
    connection: Connection, at: datetime, samples: Mapping[NodeName, NodeSample], *, most_rows: int = MOST_ROWS
) -> None:
    """Add one sample of each node; summarise and delete old rows if due. Call it within a transaction."""
    now_s = _seconds(at)
    slot_s = _slot(now_s, 0)
    if samples and _roll_up(connection, slot_s):
        _forget(connection, now_s, most_rows)
    connection.executemany(
        _upsert(_OF_NODES),
        (
            (0, slot_s, storable(node), 1, int(not sample.answered), *_cells(sample.values, _OF_NODES))
            for node, sample in samples.items()
        ),
    )
    connection.executemany(
        _upsert(_OF_GPUS),
        (
            (0, slot_s, storable(node), number, *_cells(values, _OF_GPUS))
            for node, sample in samples.items()
            for number, values in enumerate(sample.gpus)
        ),
    )
    leases.write(connection, slot_s, samples)


def read_past(
    connection: Connection,
    nodes: Sequence[NodeName],
    since: datetime,
    until: datetime,
    keys: frozenset[str] | None = None,
) -> dict[NodeName, list[SeriesPoint]]:
    """The points of each node that was asked, in order of time. Each time span comes once, from the finest tier.

    `keys`: the indices to read, of nodes and of GPUs; None: all of them.
    """
    found: dict[NodeName, list[SeriesPoint]] = {}
    tables = [table if keys is None else _narrowed(table, keys) for table in _TABLES]
    before_s = _seconds(until) + 1
    for tier, kept in enumerate(_TIERS):
        for start in range(0, len(nodes), _NODES_AT_ONCE):
            some = nodes[start : start + _NODES_AT_ONCE]
            window = (_seconds(since) - kept.span_s + 1, before_s)
            for node, point in _points(connection, tables, tier, some, window):
                found.setdefault(node, []).append(point)
        oldest = connection.execute(
            "SELECT slot_s FROM past WHERE tier = ? ORDER BY slot_s LIMIT 1", (tier,)
        ).fetchone()
        if oldest is not None and tier + 1 < len(_TIERS):
            before_s = min(before_s, oldest[0] - _TIERS[tier + 1].span_s + 1)
    return {node: sorted(points, key=lambda point: point.at_s) for node, points in found.items()}


def read_mean_load(
    connection: Connection, nodes: Sequence[NodeName], since: datetime, until: datetime
) -> dict[NodeName, tuple[float, int]]:
    """As `Choices.mean_load`."""
    found: dict[NodeName, tuple[float, int]] = {}
    for start in range(0, len(nodes), _NODES_AT_ONCE):
        some = nodes[start : start + _NODES_AT_ONCE]
        query = (
            "SELECT node, AVG(r1m_per_cpu), MIN(slot_s) FROM past WHERE tier = ? AND slot_s BETWEEN ? AND ?"  # noqa: S608 (only our own text)
            f" AND typeof(r1m_per_cpu) = 'integer' AND node IN ({', '.join('?' * len(some))}) GROUP BY node"
        )
        window = (len(_TIERS) - 1, _seconds(since), _seconds(until))
        for node, mean, since_s in connection.execute(query, (*window, *some)):
            found[NodeName(node)] = mean / _PER_ONE, since_s
    return found


def _narrowed(table: _Table, keys: frozenset[str]) -> _Table:
    return replace(table, indices=tuple(key for key in table.indices if key in keys))


def _points(
    connection: Connection, tables: Sequence[_Table], tier: int, nodes: Sequence[NodeName], window: tuple[int, int]
) -> Iterator[tuple[NodeName, SeriesPoint]]:
    """The valid rows: a damaged database may hold anything."""
    of_nodes, of_gpus = tables
    gpus: dict[tuple[int, str], dict[int, Mapping[str, Aggregate]]] = {}
    held = leases.read(connection, tier, nodes, window)
    for slot_s, node, gpu, *cells in connection.execute(_select(of_gpus, len(nodes)), (tier, *window, *nodes)):
        if isinstance(gpu, int):
            gpus.setdefault((slot_s, node), {})[gpu] = _figures(cells, of_gpus)
    for slot_s, node, *counts_and_cells in connection.execute(_select(of_nodes, len(nodes)), (tier, *window, *nodes)):
        match slot_s, counts_and_cells:
            case int(), (int(asked), int(silent), parts, *cells) if 0 <= silent <= asked and asked:
                yield (
                    NodeName(node),
                    SeriesPoint(
                        at_s=slot_s,
                        span_s=_TIERS[tier].span_s,
                        asked=asked,
                        silent=silent,
                        values=_figures(cells, of_nodes),
                        gpus=gpus.get((slot_s, node), {}),
                        leases=tuple(held.get((slot_s, node), ())),
                        parts=_parts(tier, parts, asked),
                    ),
                )
            case _:
                pass


def _parts(tier: int, parts: object, asked: int) -> int:
    """How many ten minutes of the row had a sample; an hour of an earlier version does not say, and had `asked`."""
    if tier < len(_TIERS) - 1:
        return 1
    most = _TIERS[tier].span_s // _TIERS[tier - 1].span_s
    return max(1, min(most, parts if isinstance(parts, int) else asked))


def _figures(cells: Sequence[object], table: _Table) -> dict[str, Aggregate]:
    """The aggregates in a row, which has three cells for each index."""
    found = {}
    for key, mean, least, most in zip(table.indices, cells[::3], cells[1::3], cells[2::3], strict=True):
        if isinstance(mean, int) and isinstance(least, int) and isinstance(most, int):
            found[key] = Aggregate(least / _PER_ONE, mean / _PER_ONE, most / _PER_ONE)
    return found


def _cells(values: Mapping[str, float], table: _Table) -> list[int | None]:
    """The cells of a sample. None for a value that is unknown, NaN (no comparison with it is true) or out of bounds."""
    parts = [values.get(key) for key in table.indices]
    return [
        round(value * _PER_ONE) if value is not None and -_MOST_HELD < value < _MOST_HELD else None for value in parts
    ]


def _roll_up(connection: Connection, slot_s: int) -> bool:
    """Summarise spans that ended by `slot_s` and were not summarised yet. Returns whether an hour was one of them."""
    is_over = False
    for tier in range(1, len(_TIERS)):
        before = connection.execute(
            "SELECT slot_s FROM past WHERE tier = ? AND slot_s < ? ORDER BY slot_s DESC LIMIT 1",
            (tier - 1, _slot(slot_s, tier)),
        ).fetchone()
        if before is None:
            return False
        over_s = _slot(before[0], tier)
        done = connection.execute("SELECT 1 FROM past WHERE tier = ? AND slot_s = ? LIMIT 1", (tier, over_s)).fetchone()
        is_over = done is None
        if is_over:
            for table in _TABLES:
                connection.execute(_summary(table), (tier, over_s, tier - 1, over_s, over_s + _TIERS[tier].span_s))
            leases.summarise(connection, tier, over_s, over_s + _TIERS[tier].span_s)
    return is_over


def _forget(connection: Connection, now_s: int, most_rows: int) -> None:
    """Delete old rows. The cut is at the start of a span of the next tier, so that two tiers meet without a gap."""
    for tier, kept in enumerate(_TIERS):
        step_s = _TIERS[min(tier + 1, len(_TIERS) - 1)].span_s
        for table in _BOUNDED:
            cut_s = max(now_s - kept.kept_s, _beyond_number(connection, table, tier, most_rows)) // step_s * step_s
            connection.execute(
                f"DELETE FROM {table} WHERE tier = ? AND (slot_s < ? OR slot_s > ?)",  # noqa: S608 (only our own text)
                (tier, cut_s, now_s + _AHEAD_S),
            )


def _beyond_number(connection: Connection, table: str, tier: int, most_rows: int) -> int:
    """Rows before this time exceed `most_rows`; 0: none do."""
    where = f"FROM {table} WHERE tier = ?"
    (count,) = connection.execute(f"SELECT count(*) {where}", (tier,)).fetchone()
    if count <= most_rows:
        return 0
    step_s = _TIERS[min(tier + 1, len(_TIERS) - 1)].span_s
    last = f"SELECT slot_s {where} ORDER BY slot_s LIMIT 1 OFFSET ?"
    (slot_s,) = connection.execute(last, (tier, count - most_rows - 1)).fetchone()
    return int(slot_s) + step_s


def _upsert(table: _Table) -> str:
    """Insert or update a row. Within a minute the counts add up, and the last known value stays."""
    names = ("tier", "slot_s", *table.keys, *table.counts, *table.indices)
    changes = [f"{name} = {name} + excluded.{name}" for name in table.counts]
    changes += [f"{name} = coalesce(excluded.{name}, {name})" for name in table.indices]
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 (only our own text)
        f" ON CONFLICT (tier, slot_s, {', '.join(table.keys)}) DO UPDATE SET {', '.join(changes)}"
    )


def _summary(table: _Table) -> str:
    """Summarise a span. Parameters: the tier and slot to write, the tier to read, its first second and its end."""
    keys = ", ".join(table.keys)
    names = (*table.counts, *table.parts, *_columns(table))
    sums = [*(f"sum({name})" for name in table.counts), *("count(*)" for _ in table.parts)]
    for key in table.indices:
        sums += [
            f"CAST(round(avg({key})) AS INTEGER)",
            f"min(coalesce(least_{key}, {key}))",
            f"max(coalesce(most_{key}, {key}))",
        ]
    return (
        f"INSERT OR REPLACE INTO {table.name} (tier, slot_s, {keys}, {', '.join(names)})"  # noqa: S608 (only our own text)
        f" SELECT ?, ?, {keys}, {', '.join(sums)} FROM {table.name}"
        f" WHERE tier = ? AND slot_s >= ? AND slot_s < ? GROUP BY {keys}"
    )


def _select(table: _Table, nodes: int) -> str:
    """Read rows. Parameters: the tier, the first second, the end (exclusive), the nodes."""
    cells = [f"{key}, coalesce(least_{key}, {key}), coalesce(most_{key}, {key})" for key in table.indices]
    names = ", ".join(("slot_s", *table.keys, *table.counts, *table.parts, *cells))
    marks = ", ".join("?" * nodes)
    return f"SELECT {names} FROM {table.name} WHERE tier = ? AND slot_s >= ? AND slot_s < ? AND node IN ({marks})"  # noqa: S608 (only our own text)


def _slot(at_s: int, tier: int) -> int:
    return at_s // _TIERS[tier].span_s * _TIERS[tier].span_s


def _seconds(at: datetime) -> int:
    return int((at - _EPOCH).total_seconds())
