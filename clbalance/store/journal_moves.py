"""What the journal knows of jobs that change hands: put into the queue, adopted, asked to go on elsewhere."""

import sqlite3
from dataclasses import replace
from pathlib import Path

from clbalance.moves import MoveOrder, MoveStage
from clbalance.store.faults import told_as_store_error
from clbalance.store.hands import Hands
from clbalance.store.job_codec import from_text, to_text
from clbalance.store.job_rows import ACTIVE, SETTLED
from clbalance.store.journal_outputs import JournalOutputs
from clbalance.store.text import storable
from clbalance.store.transaction import transaction


class JournalMoves(JournalOutputs):
    """That part of `ports.Journal`, on a database that `SqliteStore` has opened (docs/design/rebalance.md)."""

    def __init__(self, connection: sqlite3.Connection, database: Path) -> None:
        self._connection = connection
        self._database = database
        self._hands = Hands(connection, database)

    def close(self) -> None:
        """Have no job in hand any more."""
        self._hands.close()

    def queue(self, job: int, *, attempt: int, reason: str) -> bool:
        statement = f"""
            UPDATE job SET state = 'PENDING', queued = 1, controller = NULL, reason = ?
            WHERE id = ? AND attempt = ? AND {ACTIVE} AND cancelled IS NULL AND {SETTLED}
        """
        with told_as_store_error(self._database), transaction(self._connection):
            if self._hands.is_anothers(job):
                return False
            return self._connection.execute(statement, (storable(reason), job, attempt)).rowcount > 0

    def adopt(self, job: int, *, attempt: int) -> bool:
        mine = self._hands.mine()
        statement = "UPDATE job SET controller = ? WHERE id = ? AND attempt = ? AND state = 'RUNNING'"
        with told_as_store_error(self._database), transaction(self._connection):
            if self._hands.is_in_hand(job):
                return False
            return self._connection.execute(statement, (mine, job, attempt)).rowcount > 0

    def ask_move(self, job: int, order: MoveOrder) -> bool:
        with told_as_store_error(self._database), transaction(self._connection):
            known = self._move(job)
            if known is not None and known.attempt == order.attempt and known.stage is not MoveStage.OFF:
                return False
            return self._write_move(job, order, "state = 'RUNNING' AND cancelled IS NULL")

    def move_of(self, job: int) -> MoveOrder | None:
        with told_as_store_error(self._database):
            return self._move(job)

    def mean_move(self, job: int, order: MoveOrder) -> bool:
        meant = replace(order, stage=MoveStage.MEANT)
        with told_as_store_error(self._database), transaction(self._connection):
            return not self._hands.is_anothers(job) and self._write_move(job, meant, f"{ACTIVE} AND cancelled IS NULL")

    def call_off_move(self, job: int, *, attempt: int, why: str, unless_meant: bool = False) -> bool:
        with told_as_store_error(self._database), transaction(self._connection):
            known = self._move(job)
            if known is None or known.attempt != attempt or known.stage is MoveStage.OFF:
                return False
            if unless_meant and known.stage is MoveStage.MEANT:
                return False
            return self._write_move(job, replace(known, stage=MoveStage.OFF, told=storable(why)), ACTIVE)

    def _move(self, job: int) -> MoveOrder | None:
        row = self._connection.execute("SELECT move FROM job WHERE id = ? AND move IS NOT NULL", (job,)).fetchone()
        return None if row is None else from_text(row[0], MoveOrder)

    def _write_move(self, job: int, order: MoveOrder, where: str) -> bool:
        statement = f"UPDATE job SET move = ? WHERE id = ? AND attempt = ? AND {where}"
        return self._connection.execute(statement, (to_text(order), job, order.attempt)).rowcount > 0
