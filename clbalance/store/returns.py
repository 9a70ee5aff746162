"""`ports.Returns` in the state database: the results that are returned from nodes."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clbalance.model import NodeName
from clbalance.model.job_files import ReturnRecord, ReturnState
from clbalance.store.database import as_store_error, storable, transaction
from clbalance.store.single_flight import try_lock_byte

_REPLACED = "the job was started again"
_QUERY = """
    SELECT job, claim, rank, copy.node, copy.folder, returned.state, returned.reason, files, bytes
    FROM returned JOIN copy USING (job, claim, rank)
"""


class SqliteReturns:
    """`ports.Returns` on a database that `SqliteStore` has opened."""

    def __init__(self, connection: sqlite3.Connection, database: Path) -> None:
        self._connection = connection
        self._database = database

    def all(self, *, pending: bool = False) -> tuple[ReturnRecord, ...]:
        return self._read("WHERE returned.state = 'pending'" if pending else "")

    def of(self, job: int) -> tuple[ReturnRecord, ...]:
        return self._read("WHERE job = ?", job)

    def _read(self, where: str, *values: int) -> tuple[ReturnRecord, ...]:
        with as_store_error(self._database):
            rows = self._connection.execute(f"{_QUERY} {where} ORDER BY job, claim, rank", values).fetchall()
        return tuple(
            ReturnRecord(
                job=job,
                claim=claim,
                rank=rank,
                node=NodeName(node),
                folder=folder,
                state=ReturnState(state),
                reason=reason,
                files=files,
                size_bytes=size,
            )
            for job, claim, rank, node, folder, state, reason, files, size in rows
        )

    def put(self, record: ReturnRecord) -> None:
        statement = """
            UPDATE returned SET state = ?, reason = ?, files = ?, bytes = ? WHERE job = ? AND claim = ? AND rank = ?
        """
        told = (record.state.value, storable(record.reason), record.files, record.size_bytes)
        with as_store_error(self._database), transaction(self._connection):
            self._connection.execute(statement, (*told, record.job, record.claim, record.rank))

    @contextmanager
    def lock(self, job: int) -> Iterator[bool]:
        with try_lock_byte(self._database.parent / "returns.lock", job) as is_ours:
            yield is_ours


def replace_returns(connection: sqlite3.Connection, job: int, claim: int) -> None:
    """As `expect_returns`, of a job of copies: those of earlier claims are returned no more."""
    replace = "UPDATE returned SET state = 'lost', reason = ? WHERE job = ? AND state = 'pending'"
    connection.execute(replace, (_REPLACED, job))
    expect_returns(connection, job, [claim])


def expect_returns(connection: sqlite3.Connection, job: int, claims: Iterable[int]) -> None:
    """Record that files of the copies of these claims are to be returned.

    Call it within the transaction that has recorded the launch. Of a job without such files, nothing is recorded.
    """
    expect = """
        INSERT OR IGNORE INTO returned (job, claim, rank)
        SELECT copy.job, copy.claim, copy.rank FROM copy JOIN job ON job.id = copy.job
        WHERE copy.job = ? AND copy.claim = ? AND job.returns = 1
    """
    connection.executemany(expect, [(job, claim) for claim in claims])
