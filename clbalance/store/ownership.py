"""The controllers of jobs: which process controls a job, how control changes, and migration requests."""

import contextlib
import fcntl
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

from clbalance.model.job_record import MigrationRequest, MigrationStage
from clbalance.ports import JobLock
from clbalance.random_hex import random_hex
from clbalance.store.database import as_store_error, file_error, storable, transaction
from clbalance.store.job_rows import ACTIVE, NO_OPEN_COPY, from_text, to_text
from clbalance.store.journal_outputs import JournalOutputs


class JournalOwnership(JournalOutputs):
    """The methods of `ports.Journal` for control and migration, on a database of `SqliteStore`
    (docs/design/rebalance.md).
    """

    def __init__(self, connection: sqlite3.Connection, database: Path, lock: JobLock | None = None) -> None:
        self._connection = connection
        self._database = database
        self._control = JobControl(connection, database, lock)

    def close(self) -> None:
        """Give up the control of all jobs."""
        self._control.close()

    def control_fd(self) -> int | None:
        return self._control.fd

    def hand_over(self) -> JobLock:
        return self._control.hand_over()

    def queue(self, job: int, *, attempt: int, reason: str) -> bool:
        statement = f"""
            UPDATE job SET state = 'PENDING', queued = 1, controller = NULL, reason = ?, waited_for = ?
            WHERE id = ? AND attempt = ? AND {ACTIVE} AND cancelled IS NULL AND {NO_OPEN_COPY}
        """
        with as_store_error(self._database), transaction(self._connection):
            if self._control.has_other_controller(job):
                return False
            message = storable(reason)
            return self._connection.execute(statement, (message, message, job, attempt)).rowcount > 0

    def adopt(self, job: int, *, attempt: int) -> bool:
        mine = self._control.mine()
        statement = "UPDATE job SET controller = ? WHERE id = ? AND attempt = ? AND state = 'RUNNING'"
        with as_store_error(self._database), transaction(self._connection):
            if self._control.has_controller(job):
                return False
            return self._connection.execute(statement, (mine, job, attempt)).rowcount > 0

    def request_migration(self, job: int, order: MigrationRequest) -> bool:
        with as_store_error(self._database), transaction(self._connection):
            known = self._move(job)
            if known is not None and known.attempt == order.attempt and known.stage is not MigrationStage.ABORTED:
                return False
            return self._write_move(job, order, "state = 'RUNNING' AND cancelled IS NULL")

    def migration_request_of(self, job: int) -> MigrationRequest | None:
        with as_store_error(self._database):
            return self._move(job)

    def commit_migration(self, job: int, order: MigrationRequest) -> bool:
        committed = replace(order, stage=MigrationStage.COMMITTED)
        with as_store_error(self._database), transaction(self._connection):
            return not self._control.has_other_controller(job) and self._write_move(
                job, committed, f"{ACTIVE} AND cancelled IS NULL"
            )

    def abort_migration(self, job: int, *, attempt: int, reason: str, unless_committed: bool = False) -> bool:
        with as_store_error(self._database), transaction(self._connection):
            known = self._move(job)
            if known is None or known.attempt != attempt or known.stage is MigrationStage.ABORTED:
                return False
            if unless_committed and known.stage is MigrationStage.COMMITTED:
                return False
            return self._write_move(
                job, replace(known, stage=MigrationStage.ABORTED, abort_reason=storable(reason)), ACTIVE
            )

    def _move(self, job: int) -> MigrationRequest | None:
        row = self._connection.execute("SELECT move FROM job WHERE id = ? AND move IS NOT NULL", (job,)).fetchone()
        return None if row is None else from_text(row[0], MigrationRequest)

    def _write_move(self, job: int, order: MigrationRequest, where: str) -> bool:
        statement = f"UPDATE job SET move = ? WHERE id = ? AND attempt = ? AND {where}"
        return self._connection.execute(statement, (to_text(order), job, order.attempt)).rowcount > 0


class JobControl:
    """Which process controls a job: the controller named in its row, while that lives. Use it within a transaction."""

    def __init__(self, connection: sqlite3.Connection, database: Path, lock: JobLock | None) -> None:
        self._connection = connection
        self._database = database
        self._controllers = Controllers(database.parent, lock)

    def close(self) -> None:
        """Give up the control of all jobs."""
        self._controllers.close()

    def hand_over(self) -> JobLock:
        """Leave the control of our jobs to the process that gets this lock."""
        return self._controllers.hand_over()

    @property
    def fd(self) -> int | None:
        """The descriptor that holds our lock; None: we control no job."""
        return self._controllers.fd

    def mine(self) -> str:
        """The controller name of this process, for a row. `StoreError` if its lock file cannot be made."""
        try:
            return self._controllers.mine()
        except OSError as error:
            raise file_error(error, self._database.parent / "controllers") from error

    def is_alive(self, controller: str | None) -> bool:
        """Whether the controller of that name lives."""
        return self._controllers.is_alive(controller)

    def has_other_controller(self, job: int) -> bool:
        """Whether a living process other than this one controls the job."""
        controller = self._of(job)
        return not self._controllers.is_mine(controller) and self.is_alive(controller)

    def has_controller(self, job: int) -> bool:
        """Whether a living process controls the job, this one or another."""
        return self.is_alive(self._of(job))

    def _of(self, job: int) -> str | None:
        row = self._connection.execute("SELECT controller FROM job WHERE id = ?", (job,)).fetchone()
        return None if row is None else row[0]


class Controllers:
    """The controllers of this host: one locked file each in `controllers/` of the state folder.

    The kernel releases the lock (flock) when the last process that has its descriptor dies. `lock`: handed over by the
    process that made it. A forked child needs an object of its own.
    """

    def __init__(self, state: Path, lock: JobLock | None = None) -> None:
        self._folder = state / "controllers"
        self._nonce = "" if lock is None else lock.name
        self._fd = -1 if lock is None else lock.fd

    def mine(self) -> str:
        """The controller name of this process; its file is locked from now on."""
        if not self._nonce:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._tidy()
            nonce = random_hex()
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._folder / nonce, flags, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            self._nonce = nonce
        return self._nonce

    @property
    def fd(self) -> int | None:
        """The descriptor that holds the lock; None: there is none."""
        return self._fd if self._nonce else None

    def is_mine(self, nonce: str | None) -> bool:
        """Whether it is this process's name."""
        return bool(nonce) and nonce == self._nonce

    def is_alive(self, nonce: str | None) -> bool:
        """Whether the process of that name lives."""
        if not nonce:
            return False
        return nonce == self._nonce or not self._is_free(self._folder / nonce)

    def hand_over(self) -> JobLock:
        """The lock, for another process. The caller closes its descriptor once that process has it."""
        lock = JobLock(name=self.mine(), fd=self._fd)
        self._nonce, self._fd = "", -1
        return lock

    def close(self) -> None:
        """Remove the file: this process controls nothing any more."""
        if self._nonce:
            with contextlib.suppress(OSError):
                (self._folder / self._nonce).unlink()
            os.close(self._fd)
            self._nonce = ""

    def _tidy(self) -> None:
        """Remove the files of dead processes. Young ones stay: a file is locked only after it is made."""
        for file in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < self._folder.stat().st_mtime - 60 and self._is_free(file):
                    file.unlink()

    @staticmethod
    def _is_free(file: Path) -> bool:
        try:
            fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        except OSError:
            return False  # unknown is never free
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True
