"""The state database of one submit host: readings, failure streaks, and the counters of `rebalance`."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from clbalance.model import NodeName, Reading, Trend
from clbalance.model.node_history import FailureStreak, KeptAnswer, NodeSample, SeriesPoint
from clbalance.ports import IndexValues, JobLock, Remembered
from clbalance.store.database import BUSY_TIMEOUT_S, as_store_error, file_error, storable, transaction
from clbalance.store.history import read_mean_load, read_past, write_past
from clbalance.store.journal import SqliteJournal
from clbalance.store.readings import (
    COLUMNS,
    boot_of,
    forget_other_boots,
    read_answers,
    read_trends,
    remembered,
    row_of,
    write_answers,
    write_trend_samples,
)
from clbalance.store.schema import migrate

if TYPE_CHECKING:
    from clbalance.store.plays.journal import SqlitePlays

DATABASE = "state.db"


class SqliteStore:
    """A store shared by many processes of one user on one host. Writes are on disk when a method returns."""

    def __init__(self, connection: sqlite3.Connection, database: Path) -> None:
        self._connection = connection
        self._database = database

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open or create the database in `directory`, and bring its schema up to date. `StoreError` if that fails."""
        database = directory / DATABASE
        with as_store_error(database), _without_leftovers(database):
            connection = sqlite3.connect(database, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            try:
                _configure(connection)
                migrate(connection)
                _keep_from_tidying(database)
            except BaseException:
                connection.close()
                raise
        return cls(connection, database)

    def close(self) -> None:
        """Close the database. The last process to do so removes the write-ahead log."""
        self._connection.close()

    def journal(self, lock: JobLock | None = None) -> SqliteJournal:
        """The journal of jobs, in the same database. `lock`: of jobs that another process has handed over to us."""
        return SqliteJournal(self._connection, self._database, lock)

    def plays(self, reached: Callable[[str], None] | None = None) -> "SqlitePlays":
        """The runs of playbooks, in the same database. `reached`: see there."""
        from clbalance.store.plays.journal import SqlitePlays  # for `play` alone (docs/design/startup.md)

        return SqlitePlays(self._connection, self._database, reached)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def last_readings(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Remembered]:
        found: dict[NodeName, Remembered] = {}
        with as_store_error(self._database):
            for some in _batches(nodes):
                marks = ", ".join("?" * len(some))
                query = f"SELECT node, {COLUMNS} FROM reading WHERE node IN ({marks})"  # noqa: S608 (only our own text)
                for node, *row in self._connection.execute(query, some):
                    if (reading := remembered(row)) is not None:
                        found[NodeName(node)] = reading
        return found

    def remember(
        self,
        at: datetime,
        readings: Mapping[NodeName, Reading],
        samples: Mapping[NodeName, IndexValues] | None = None,
        past: Mapping[NodeName, NodeSample] | None = None,
        *,
        came_at: Mapping[NodeName, datetime] | None = None,
        answers: Mapping[NodeName, bytes] | None = None,
    ) -> None:
        from clbalance.store.forecasts.rows import write_forecasts  # once nodes have answered (docs/design/startup.md)

        came_at = came_at or {}
        rows = [(node, *row_of(came_at.get(node, at), reading)) for node, reading in readings.items()]
        marks = ", ".join("?" * (1 + len(COLUMNS.split(","))))
        statement = f"INSERT OR REPLACE INTO reading (node, {COLUMNS}) VALUES ({marks})"  # noqa: S608 (only our own text)
        boots = {node: boot_of(reading) for node, reading in readings.items()}
        with as_store_error(self._database), transaction(self._connection):
            forget_other_boots(self._connection, boots)
            self._connection.executemany(statement, rows)
            write_trend_samples(self._connection, at, samples or {})
            write_past(self._connection, at, past or {})
            write_forecasts(self._connection, at, past or {})
            write_answers(self._connection, at, came_at, answers or {})

    def last_answers(self, nodes: Sequence[NodeName], since: datetime) -> Mapping[NodeName, KeptAnswer]:
        with as_store_error(self._database):
            return read_answers(self._connection, nodes, since)

    def history(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime, *, keys: frozenset[str] | None = None
    ) -> Mapping[NodeName, Sequence[SeriesPoint]]:
        with as_store_error(self._database):
            return read_past(self._connection, nodes, since, until, keys)

    def mean_load(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime
    ) -> Mapping[NodeName, tuple[float, int]]:
        with as_store_error(self._database):
            return read_mean_load(self._connection, nodes, since, until)

    def forecasts(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, bytes]:
        from clbalance.store.forecasts.rows import read_forecasts

        with as_store_error(self._database):
            return read_forecasts(self._connection, nodes)

    def trends(self, nodes: Sequence[NodeName], at: datetime) -> Mapping[NodeName, Mapping[str, Trend]]:
        with as_store_error(self._database):
            return read_trends(self._connection, nodes, at)

    def failure_streaks(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, FailureStreak]:
        with as_store_error(self._database):
            known = read_failure_streaks(self._connection, nodes)
        return {node: known.get(node, FailureStreak()) for node in nodes}

    def save_failure_streaks(self, at: datetime, streaks: Mapping[NodeName, FailureStreak]) -> None:
        with as_store_error(self._database), transaction(self._connection):
            write_failure_streaks(self._connection, at, streaks)

    def counters(self) -> Mapping[str, float]:
        with as_store_error(self._database):
            return read_counters(self._connection)

    def update_counters(
        self, *, add: Mapping[str, float] | None = None, put: Mapping[str, float] | None = None
    ) -> None:
        with as_store_error(self._database), transaction(self._connection):
            write_counters(self._connection, add or {}, put or {})

    def choice(self, name: str) -> str | None:
        with as_store_error(self._database):
            row = self._connection.execute("SELECT content FROM choice WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def keep_choices(self, contents: Mapping[str, str]) -> None:
        statement = "INSERT OR REPLACE INTO choice (name, content) VALUES (?, ?)"
        with as_store_error(self._database), transaction(self._connection):
            self._connection.executemany(statement, contents.items())


@contextmanager
def _without_leftovers(database: Path) -> Iterator[None]:
    """Remove the log of a database that is gone: SQLite would take it for that of the new one, made in the block.

    A process that has the old one open still maps the index of its log; with that, the new one would be damaged.
    """
    left = [Path(f"{database}{suffix}") for suffix in ("-wal", "-shm")]
    if _has_content(database) or not any(file.exists() for file in left):
        yield
        return
    fd = os.open(database.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # held for the milliseconds that it takes to make a database
        if not _has_content(database):
            for file in left:
                file.unlink(missing_ok=True)
        yield
    except OSError as error:
        raise file_error(error, database) from error
    finally:
        os.close(fd)


def _has_content(database: Path) -> bool:
    try:
        return database.stat().st_size > 0
    except OSError:
        return False


def _configure(connection: sqlite3.Connection) -> None:
    # FULL: a commit is on disk when it returns.
    connection.execute("PRAGMA synchronous = FULL")
    # WAL: readers and the writer do not wait for each other. The switch fails at once, without the busy timeout, while
    # another process uses the file (measured: 28 of 150 races of 8 first openings). Then the rollback journal stays,
    # which is as safe but slower, and the next process to open the database tries again.
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise


def _keep_from_tidying(database: Path) -> None:
    # systemd-tmpfiles leaves files with the sticky bit alone (tmpfiles.d(5)). Without it a database under /var/tmp is
    # deleted after a month without use, and job numbers start again. Nothing else depends on the bit.
    with suppress(OSError):
        database.chmod(0o1600)


def _batches(nodes: Sequence[NodeName], size: int = 500) -> Iterator[Sequence[NodeName]]:
    # SQLite before 3.32 takes 999 parameters at most.
    for start in range(0, len(nodes), size):
        yield nodes[start : start + size]


# The tables of failure streaks, and of the counters of `rebalance`.

_COLUMNS: Final = "silent, answered, suspect, over, silent_at_s, refused, refused_at_s, worked_in_boot"
_FEW: Final = 64
_FORGOTTEN_AFTER_S: Final = 30 * 86_400


def read_failure_streaks(connection: Connection, nodes: Sequence[NodeName]) -> dict[NodeName, FailureStreak]:
    """The stored streaks of these nodes. The whole table is read where most of its nodes are probably wanted."""
    wanted = set(nodes)
    few = len(nodes) <= _FEW
    chosen = f" WHERE node IN ({', '.join('?' * len(nodes))})" if few else ""
    query = f"SELECT node, {_COLUMNS} FROM strain{chosen}"  # noqa: S608 (only our own text)
    rows = connection.execute(query, tuple(nodes) if few else ())
    return {
        NodeName(node): FailureStreak(
            silent=silent,
            answered=answered,
            suspect=bool(suspect),
            over=over,
            silent_at_s=silent_at_s,
            refused=refused,
            refused_at_s=refused_at_s,
            worked_in_boot=worked_in_boot,
        )
        for node, silent, answered, suspect, over, silent_at_s, refused, refused_at_s, worked_in_boot in rows
        if node in wanted
    }


def write_failure_streaks(connection: Connection, at: datetime, streaks: Mapping[NodeName, FailureStreak]) -> None:
    """Replace the streaks of these nodes; delete streaks that are older than a month."""
    at_s = int(at.timestamp())
    connection.executemany(
        f"INSERT OR REPLACE INTO strain (node, {_COLUMNS}, at_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 (only our own text)
        (
            (
                storable(node),
                one.silent,
                one.answered,
                one.suspect,
                one.over,
                one.silent_at_s,
                storable(one.refused),
                one.refused_at_s,
                storable(one.worked_in_boot),
                at_s,
            )
            for node, one in streaks.items()
        ),
    )
    connection.execute("DELETE FROM strain WHERE at_s < ?", (at_s - _FORGOTTEN_AFTER_S,))


def read_counters(connection: Connection) -> dict[str, float]:
    """All counters and last values, by name."""
    return dict(connection.execute("SELECT name, value FROM tally ORDER BY name"))


def write_counters(connection: Connection, add: Mapping[str, float], put: Mapping[str, float]) -> None:
    """Add to counters, and set last values."""
    connection.executemany(
        "INSERT INTO tally (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        add.items(),
    )
    connection.executemany("INSERT OR REPLACE INTO tally (name, value) VALUES (?, ?)", put.items())
