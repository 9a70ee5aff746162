"""The part of the journal on output files of jobs."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clbalance.model.job import OutputRecord, OutputState
from clbalance.ports import WrittenTasks
from clbalance.store.database import as_store_error, storable, transaction
from clbalance.store.single_flight import try_lock


class JournalOutputs:
    """The methods of `ports.Journal` for output files, on a database of `SqliteStore` (docs/design/job_output.md)."""

    _connection: sqlite3.Connection
    _database: Path

    def outputs(self, *, pending: bool = False) -> tuple[OutputRecord, ...]:
        where = "WHERE state = 'pending'" if pending else ""
        query = f"SELECT job, attempt, state, reason FROM output {where} ORDER BY job, attempt"
        with as_store_error(self._database):
            rows = self._connection.execute(query).fetchall()
        return tuple(
            OutputRecord(job=job, attempt=attempt, state=OutputState(state), reason=reason)
            for job, attempt, state, reason in rows
        )

    def set_output(self, job: int, attempt: int, state: OutputState, reason: str = "") -> None:
        statement = "UPDATE output SET state = ?, reason = ? WHERE job = ? AND attempt = ?"
        with as_store_error(self._database), transaction(self._connection):
            self._connection.execute(statement, (state.value, storable(reason), job, attempt))

    @contextmanager
    def output_lock(self) -> Iterator[bool]:
        with try_lock(self._database.parent / "output.lock") as is_ours:
            yield is_ours

    def written_tasks(self, job: int) -> WrittenTasks:
        from clbalance.store.append_logs import FileWrittenTasks  # only for task jobs (docs/design/startup.md)

        return FileWrittenTasks(self._database.parent / "tasks" / f"{job}.written")


def expect_output(connection: sqlite3.Connection, job: int, attempt: int) -> None:
    """Record that an attempt's output is pending, if its job has output files. Call it within a transaction."""
    statement = "INSERT OR IGNORE INTO output (job, attempt) SELECT id, ? FROM job WHERE id = ? AND files = 1"
    connection.execute(statement, (attempt, job))
