"""The state database of one submit host: `state.db` in a folder that `location.py` has checked."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from clbalance.model import NodeName, Reading, Trend
from clbalance.past import HistoryPoint, PastLook
from clbalance.ports import Remembered, Samples
from clbalance.store.counters import COLUMNS, boot_of, remembered, row_of
from clbalance.store.faults import BUSY_TIMEOUT_S, told_as_store_error
from clbalance.store.journal import SqliteJournal
from clbalance.store.past import read_past, write_past
from clbalance.store.schema import migrate
from clbalance.store.strains import read_strains, read_tallies, write_strains, write_tallies
from clbalance.store.transaction import transaction
from clbalance.store.trends import forget_other_boots, read_trends, write_looks
from clbalance.strain import Strain

DATABASE = "state.db"


class SqliteStore:
    """A store that many processes of one user on one host share; what it has returned from is on the disk."""

    def __init__(self, connection: sqlite3.Connection, database: Path) -> None:
        self._connection = connection
        self._database = database

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open or make the database in `directory`, and bring its tables up to date."""
        database = directory / DATABASE
        with told_as_store_error(database):
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
        """Let go of the file; the last process to do so tidies the write-ahead log away."""
        self._connection.close()

    def journal(self) -> SqliteJournal:
        """The jobs, in the same file."""
        return SqliteJournal(self._connection, self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def last_readings(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Remembered]:
        found: dict[NodeName, Remembered] = {}
        with told_as_store_error(self._database):
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
        samples: Mapping[NodeName, Samples] | None = None,
        past: Mapping[NodeName, PastLook] | None = None,
    ) -> None:
        rows = [(node, *row_of(at, reading)) for node, reading in readings.items()]
        marks = ", ".join("?" * (1 + len(COLUMNS.split(","))))
        statement = f"INSERT OR REPLACE INTO reading (node, {COLUMNS}) VALUES ({marks})"  # noqa: S608 (only our own text)
        boots = {node: boot_of(reading) for node, reading in readings.items()}
        with told_as_store_error(self._database), transaction(self._connection):
            forget_other_boots(self._connection, boots)
            self._connection.executemany(statement, rows)
            write_looks(self._connection, at, samples or {})
            write_past(self._connection, at, past or {})

    def history(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime
    ) -> Mapping[NodeName, Sequence[HistoryPoint]]:
        with told_as_store_error(self._database):
            return read_past(self._connection, nodes, since, until)

    def trends(self, nodes: Sequence[NodeName], at: datetime) -> Mapping[NodeName, Mapping[str, Trend]]:
        with told_as_store_error(self._database):
            return read_trends(self._connection, nodes, at)

    def strains(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Strain]:
        with told_as_store_error(self._database):
            known = read_strains(self._connection, nodes)
        return {node: known.get(node, Strain()) for node in nodes}

    def keep_strains(self, at: datetime, strains: Mapping[NodeName, Strain]) -> None:
        with told_as_store_error(self._database), transaction(self._connection):
            write_strains(self._connection, at, strains)

    def tallies(self) -> Mapping[str, float]:
        with told_as_store_error(self._database):
            return read_tallies(self._connection)

    def tally(self, *, add: Mapping[str, float] | None = None, put: Mapping[str, float] | None = None) -> None:
        with told_as_store_error(self._database), transaction(self._connection):
            write_tallies(self._connection, add or {}, put or {})


def _configure(connection: sqlite3.Connection) -> None:
    # FULL: a commit is on the disk when it returns.
    connection.execute("PRAGMA synchronous = FULL")
    # WAL: readers and the writer do not wait for each other. The switch fails at once, without the busy timeout, while
    # another process uses the file (measured: 28 of 150 races of 8 first openings). The rollback journal that then
    # stays is as safe and slower, and whoever opens next tries again.
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise


def _keep_from_tidying(database: Path) -> None:
    # systemd-tmpfiles leaves files with the sticky bit alone (tmpfiles.d(5)); without it a month's rest under
    # /var/tmp would end the job numbers. A file system that knows no such bit loses nothing else.
    with suppress(OSError):
        database.chmod(0o1600)


def _batches(nodes: Sequence[NodeName], size: int = 500) -> Iterator[Sequence[NodeName]]:
    # SQLite before 3.32 takes 999 parameters at most.
    for start in range(0, len(nodes), size):
        yield nodes[start : start + size]
