"""The journal of this host's jobs, in the state database `state.db` (docs/design/jobs.md)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clbalance.errors import StoreError
from clbalance.model import NodeName, Plan
from clbalance.model.job import Submitted
from clbalance.model.job_record import CopyRecord, Intent, JobRecord, JobState, Lost, Outcome, Placed
from clbalance.nodeset import fold
from clbalance.policy.jobs.record import qos_of
from clbalance.ports import JobLock, TaskLog
from clbalance.store import result_groups
from clbalance.store.database import as_store_error, storable, transaction
from clbalance.store.job_numbers import JobNumbers, LostJobs
from clbalance.store.job_rows import (
    ACTIVE,
    CLAIMS_APART,
    INSERT_COPY,
    JOB_COLUMNS,
    NO_OPEN_COPY,
    STARTING,
    begin_of,
    copy_record,
    copy_row,
    expanded,
    folded,
    from_text,
    job_record,
    microseconds,
    parted,
    placed_record,
    plan_text,
    tasks_of,
    tasks_text,
    to_text,
)
from clbalance.store.journal_outputs import expect_output
from clbalance.store.journal_pending import JournalPending
from clbalance.store.returns import SqliteReturns, expect_returns, replace_returns

if TYPE_CHECKING:
    from clbalance.model.task import Task

_MAY_BE_STARTED = f"{ACTIVE} AND cancelled IS NULL AND held IS NULL"
_QUEUED = f"state = 'PENDING' AND queued = 1 AND cancelled IS NULL AND held IS NULL AND {NO_OPEN_COPY}"


class SqliteJournal(JournalPending):
    """`ports.Journal` on a database that `SqliteStore` has opened."""

    def __init__(self, connection: sqlite3.Connection, database: Path, lock: JobLock | None = None) -> None:
        super().__init__(connection, database, lock)
        self._numbers = JobNumbers(connection, database)
        self._task_logs: dict[int, TaskLog] = {}

    def close(self) -> None:
        for log in self._task_logs.values():
            log.close()
        super().close()

    def lost_jobs(self) -> LostJobs | None:
        """The jobs that the database has lost since the last call of any process; None: none."""
        return self._numbers.compare()

    def submit(
        self,
        at: datetime,
        submitted: Submitted,
        tasks: Sequence[Task] = (),
        *,
        accepted: bool = False,
        stdin: bytes | None = None,
    ) -> int:
        statement = """
            INSERT INTO job (
                id, key, name, state, reason, submitted_us, waits_us, controller, submitted, qos, priority, files,
                queued, begin_us, returns, engine
            ) VALUES (?, ?, ?, 'PENDING', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
        job = submitted.job
        facts, script = parted(submitted)
        parts = (to_text(facts), qos_of(submitted.request).value, submitted.priority, submitted.has_files, accepted)
        begin_at, reason = begin_of(submitted)
        begin_us, at_us = None if begin_at is None else microseconds(begin_at), microseconds(at)
        of_job = (job.key, storable(job.name), reason, at_us, at_us, self._control.mine(), *parts)
        values = (*of_job, begin_us, submitted.returns_files, submitted.engine)
        with as_store_error(self._database), transaction(self._connection):
            number = self._numbers.take()
            self._connection.execute(statement, (number, *values))
            if script is not None:
                self._connection.execute("INSERT INTO script (job, content) VALUES (?, ?)", (number, script))
            if stdin is not None:
                self._connection.execute("INSERT INTO stdin (job, content) VALUES (?, ?)", (number, stdin))
            if submitted.rules is not None:
                self._connection.execute(
                    "INSERT INTO task_list (job, tasks) VALUES (?, ?)", (number, tasks_text(tasks))
                )
        self._numbers.given(number)
        return number

    def accept(self, job: int) -> None:
        self._write(f"UPDATE job SET queued = 1 WHERE id = ? AND {ACTIVE}", (job,))

    def record_launch(self, job: int, *, attempt: int, claim: int, intents: Sequence[Intent], plan: Plan) -> bool:
        rows = [copy_row(job, attempt, claim, intent) for intent in intents]
        with as_store_error(self._database), transaction(self._connection):
            update = f"""
                UPDATE job SET attempt = ?, claim = ?, nodes = ?, reason = ?, started_us = NULL, move = NULL
                WHERE id = ? AND {_MAY_BE_STARTED}
            """
            if self._connection.execute(update, (attempt, claim, folded(intents), STARTING, job)).rowcount == 0:
                return False
            self._connection.executemany(INSERT_COPY, rows)
            expect_output(self._connection, job, attempt)
            replace_returns(self._connection, job, claim)
            self._place(job, attempt, claim, plan)
        return True

    def record_slot_launches(self, job: int, *, attempt: int, slots: Mapping[int, Intent], plan: Plan | None) -> bool:
        rows = [copy_row(job, attempt, claim, intent) for claim, intent in slots.items()]
        with as_store_error(self._database), transaction(self._connection):
            query = f"SELECT attempt, nodes FROM job WHERE id = ? AND {_MAY_BE_STARTED}"
            found = self._connection.execute(query, (job,)).fetchone()
            if found is None:
                return False
            known = expanded(found[1]) if found[0] == attempt else ()
            nodes = fold({*known, *(one.node for one in slots.values())})
            self._connection.execute(
                "UPDATE job SET attempt = ?, claim = max(claim, ?), nodes = ? WHERE id = ?",
                (attempt, max(slots), nodes, job),
            )
            self._connection.executemany(INSERT_COPY, rows)
            expect_output(self._connection, job, attempt)
            expect_returns(self._connection, job, slots)
            if plan is not None:
                self._connection.execute("UPDATE job SET reason = ?, started_us = NULL WHERE id = ?", (STARTING, job))
                self._place(job, attempt, max(slots), plan)
        return True

    def record_unplaced(self, job: int, *, attempt: int, claim: int, plan: Plan) -> None:
        with as_store_error(self._database), transaction(self._connection):
            self._place(job, attempt, claim, plan)

    def started(self, job: int, at: datetime) -> None:
        statement = f"""
            UPDATE job SET state = 'RUNNING', reason = '', started_us = coalesce(started_us, ?), waits_us = NULL
            WHERE id = ? AND {ACTIVE}
        """
        self._write(statement, (microseconds(at), job))

    def correct_start(self, job: int, at: datetime) -> None:
        self._write(f"UPDATE job SET started_us = ? WHERE id = ? AND {ACTIVE}", (microseconds(at), job))

    def limited(self, job: int, claim: int, node: NodeName, limits: Sequence[str]) -> None:
        statement = "UPDATE copy SET limits = ? WHERE job = ? AND claim = ? AND node = ?"
        self._write(statement, (to_text(tuple(limits)), job, claim, node))

    def located(self, job: int, claim: int, *, engine_id: str, nodes: Sequence[NodeName]) -> None:
        statement = """
            INSERT INTO copy (job, attempt, claim, rank, node, boot_id, birth, engine_id)
            SELECT job, attempt, claim, ?, ?, '', '', ? FROM copy WHERE job = ? AND claim = ? AND rank = 0
            ON CONFLICT (job, claim, rank) DO UPDATE SET node = excluded.node, engine_id = excluded.engine_id
        """
        with as_store_error(self._database), transaction(self._connection):
            values = ("UPDATE copy SET engine_id = ? WHERE job = ? AND claim = ?", (engine_id, job, claim))
            self._connection.execute(*values)
            rows = [(rank, node, engine_id, job, claim) for rank, node in enumerate(nodes)]
            self._connection.executemany(statement, rows)
            if nodes:
                update = f"UPDATE job SET nodes = ? WHERE id = ? AND claim = ? AND {ACTIVE}"
                self._connection.execute(update, (fold(nodes), job, claim))

    def ended(self, job: int, claim: int, outcome: Outcome) -> None:
        if isinstance(outcome.end, Lost):
            return
        where = "WHERE job = ? AND claim = ? AND rank = ? AND outcome IS NULL"
        self._write(f"UPDATE copy SET outcome = ? {where}", (to_text(outcome), job, claim, outcome.rank))

    def finish(self, job: int, at: datetime, *, attempt: int, state: JobState, reason: str, rc: int) -> bool:
        statement = f"""
            UPDATE job SET state = ?, rc = ?, ended_us = ?, controller = NULL, queued = 0, move = NULL,
                reason = CASE WHEN ? THEN coalesce(cancelled, ?) ELSE ? END
            WHERE id = ? AND attempt = ? AND {ACTIVE}
        """
        message = storable(reason)
        cancelled = state is JobState.CANCELLED
        with as_store_error(self._database), transaction(self._connection):
            if self._control.has_other_controller(job):
                return False
            values = (state.value, rc, microseconds(at), cancelled, message, message, job, attempt)
            return self._connection.execute(statement, values).rowcount > 0

    def cancel_unstarted(self, job: int, at: datetime, *, reason: str, rc: int) -> bool:
        with as_store_error(self._database), transaction(self._connection):
            if self._control.has_other_controller(job):
                return False
            self._connection.execute("UPDATE job SET controller = NULL WHERE id = ?", (job,))
            statement = f"""
                UPDATE job SET state = 'CANCELLED', rc = ?, ended_us = ?, reason = coalesce(cancelled, ?), queued = 0
                WHERE id = ? AND {ACTIVE} AND {NO_OPEN_COPY}
            """
            return self._connection.execute(statement, (rc, microseconds(at), storable(reason), job)).rowcount > 0

    def keep_results(self, job: int | None, sets: Mapping[str, str]) -> None:
        result_groups.keep_results(self._database.parent, job, sets)

    def keep_refusal(self, plan: Plan) -> None:
        statement = """
            INSERT OR REPLACE INTO refusal (id, after_job, plan) SELECT 1, coalesce(max(id), 0), ? FROM job
        """
        self._write(statement, (plan_text(plan),))

    def last_refusal(self) -> Plan | None:
        query = "SELECT plan FROM refusal WHERE after_job >= (SELECT coalesce(max(id), 0) FROM job)"
        with as_store_error(self._database):
            row = self._connection.execute(query).fetchone()
        return None if row is None else placed_record((0, 0, row[0])).plan

    def set_pending_reason(self, job: int, reason: str) -> bool:
        with as_store_error(self._database), transaction(self._connection):
            message = storable(reason)
            statement = f"""
                UPDATE job SET state = 'PENDING', reason = ?, waited_for = ?
                WHERE id = ? AND {ACTIVE} AND cancelled IS NULL
            """
            return self._connection.execute(statement, (message, message, job)).rowcount > 0

    def release(self, job: int) -> None:
        with as_store_error(self._database), transaction(self._connection):
            if not self._control.has_other_controller(job):
                self._connection.execute("UPDATE job SET controller = NULL WHERE id = ?", (job,))

    def acquire(self, job: int, reason: str, *, attempt: int) -> bool:
        return self._acquire(job, reason, attempt, _QUEUED, "")

    def acquire_again(self, job: int, reason: str, *, attempt: int, at: datetime, accepted: bool) -> bool:
        anew = f", waits_us = {microseconds(at)}, queued = max(queued, {accepted:d}), held = NULL, begin_us = NULL"
        return self._acquire(job, reason, attempt, f"(state IS NOT NULL AND NOT {ACTIVE} OR {_QUEUED})", anew)

    def _acquire(self, job: int, reason: str, attempt: int, where: str, further: str) -> bool:
        mine = self._control.mine()
        statement = f"""
            UPDATE job SET controller = ?, cancelled = NULL, claim = claim + {CLAIMS_APART}, state = 'PENDING',
                reason = ?, rc = NULL, ended_us = NULL {further}
            WHERE id = ? AND attempt = ? AND {where}
        """
        with as_store_error(self._database), transaction(self._connection):
            if self._control.has_controller(job):
                return False
            return self._connection.execute(statement, (mine, storable(reason), job, attempt)).rowcount > 0

    def cancel(self, job: int, reason: str) -> None:
        self._write(f"UPDATE job SET cancelled = ? WHERE id = ? AND {ACTIVE}", (storable(reason), job))

    def cancel_requests(self) -> tuple[JobRecord, ...]:
        return tuple(one for one in self._records(f"{ACTIVE} AND cancelled IS NOT NULL") if not one.has_controller)

    def records(self, *, over: bool = False, newest: int = 1000) -> tuple[JobRecord, ...]:
        return self._records("state IS NOT NULL" if over else ACTIVE, newest)

    def _records(self, where: str, newest: int = 1000) -> tuple[JobRecord, ...]:
        query = f"SELECT {JOB_COLUMNS} FROM job WHERE {where} ORDER BY id DESC LIMIT ?"
        found = []
        with as_store_error(self._database):
            for row in self._connection.execute(query, (newest,)).fetchall():
                with suppress(StoreError):  # of another version: skip it, and show the others
                    found.append(job_record(row, self._control.is_alive))
        return tuple(reversed(found))

    def record(self, job: int) -> JobRecord | None:
        row = self._one(f"SELECT {JOB_COLUMNS} FROM job WHERE id = ? AND state IS NOT NULL", job)
        return None if row is None else job_record(row, self._control.is_alive)

    def copies(self, job: int) -> tuple[CopyRecord, ...]:
        query = (
            "SELECT attempt, claim, node, rank, boot_id, birth, outcome, limits, folder, engine_id FROM copy"
            " WHERE job = ? ORDER BY claim, rank"
        )
        with as_store_error(self._database):
            return tuple(copy_record(row) for row in self._connection.execute(query, (job,)))

    def submitted(self, job: int) -> Submitted | None:
        whole = self._submitted(job)
        return None if whole is None else parted(whole)[0]

    def script(self, job: int) -> bytes | None:
        row = self._one("SELECT content FROM script WHERE job = ?", job)
        if row is not None:
            content = row[0]
            return content if isinstance(content, bytes) else None
        whole = self._submitted(job)
        return None if whole is None else parted(whole)[1]  # a row from before the table `script` existed

    def stdin(self, job: int) -> bytes | None:
        row = self._one("SELECT content FROM stdin WHERE job = ?", job)
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def tasks(self, job: int) -> tuple[Task, ...]:
        row = self._one("SELECT tasks FROM task_list WHERE job = ?", job)
        return () if row is None else tasks_of(row[0])

    def task_log(self, job: int) -> TaskLog:
        from clbalance.store.append_logs import FileTaskLog  # only for task jobs (docs/design/startup.md)

        if job not in self._task_logs:
            self._task_logs[job] = FileTaskLog(self._database.parent / "tasks" / f"{job}.log")
        return self._task_logs[job]

    def returns(self) -> SqliteReturns:
        return SqliteReturns(self._connection, self._database)

    def placed(self, job: int) -> tuple[Placed, ...]:
        query = "SELECT attempt, claim, plan FROM placed WHERE job = ? ORDER BY claim"
        with as_store_error(self._database):
            return tuple(placed_record(row) for row in self._connection.execute(query, (job,)))

    def _submitted(self, job: int) -> Submitted | None:
        row = self._one("SELECT submitted FROM job WHERE id = ? AND state IS NOT NULL", job)
        return None if row is None else from_text(row[0], Submitted)

    def _place(self, job: int, attempt: int, claim: int, plan: Plan) -> None:
        """Store the plan of an attempt. It replaces earlier plans of that attempt, which were not carried out."""
        self._connection.execute("DELETE FROM placed WHERE job = ? AND attempt = ?", (job, attempt))
        self._connection.execute(
            "INSERT OR REPLACE INTO placed (job, attempt, claim, plan) VALUES (?, ?, ?, ?)",
            (job, attempt, claim, plan_text(plan)),
        )

    def _one(self, query: str, job: int) -> tuple[object, ...] | None:
        with as_store_error(self._database):
            row: tuple[object, ...] | None = self._connection.execute(query, (job,)).fetchone()
        return row

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        with as_store_error(self._database), transaction(self._connection):
            self._connection.execute(statement, values)
