"""Helpers for SQLite: transactions, storable text; its errors, and those of other files, as `StoreError` with hints."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from sqlite3 import Connection
from types import TracebackType

from clbalance.errors import StoreError

BUSY_TIMEOUT_S = 5.0
"""How long a process waits for the write of another, which takes milliseconds, or seconds where the disk is busy."""
_SMALLEST_BYTES = 1 << 16
"""A disk with less room is full: the index of a write-ahead log takes 32 KiB."""


@contextmanager
def as_store_error(database: Path) -> Iterator[None]:
    """Raise SQLite's errors in the block as `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error, database) from error
    except UnicodeDecodeError as error:
        # Python's sqlite3 fails so on a message that quotes a damaged schema (seen with CPython 3.11).
        raise _damaged(database, "its schema is unreadable") from error


def store_error(error: sqlite3.Error, database: Path) -> StoreError:
    """`error` as a `StoreError` with a hint for the user."""
    folder = quote(str(database.parent))
    # Extended codes keep the plain one in their low byte. Errors of Python's own module have none.
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return _damaged(database, str(error))
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(
                f"the state database `{database}` was locked by another process for {BUSY_TIMEOUT_S:g} s",
                hint=f"try again; `fuser -v {quote(str(database))}` shows who has it open",
            )
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR as code if code == sqlite3.SQLITE_FULL or _is_full(
            database.parent
        ):
            # SQLITE_IOERR on a full disk: it could not make the index of its log.
            return _no_space(f"the state database `{database}`", database)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StoreError(
                f"the state database `{database}` cannot be opened for writing: {error}",
                hint=f"`ls -la {folder}` shows whose it is; `CLBALANCE_STATE_DIR` moves the state elsewhere",
            )
        case sqlite3.SQLITE_IOERR:
            return StoreError(
                f"the disk of the state database `{database}` fails: {error}",
                hint=f"`df {folder}` and `dmesg` tell more; `CLBALANCE_STATE_DIR` moves the state elsewhere",
            )
        case _:
            return StoreError(
                f"the state database `{database}` cannot be used: {error}",
                hint="`CLBALANCE_STATE_DIR` moves the state to another folder",
            )


def _no_space(what: str, path: Path) -> StoreError:
    return StoreError(
        f"no space left for {what}",
        hint=f"`df {quote(str(path.parent))}` shows the disk; `CLBALANCE_STATE_DIR` moves the state to another one",
    )


def _is_full(folder: Path) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _SMALLEST_BYTES


def file_error(error: OSError, path: Path) -> StoreError:
    """`error` of a file in the state folder as a `StoreError` with a hint for the user."""
    folder = quote(str(path.parent))
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return _no_space(f"`{path}`", path)
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return StoreError(
                f"`{path}` cannot be written: {error.strerror}",
                hint=f"`ls -la {folder}` shows whose it is; `CLBALANCE_STATE_DIR` moves the state elsewhere",
            )
        case _:
            return StoreError(
                f"`{path}` cannot be used: {error.strerror}",
                hint=f"`ls -la {folder}` shows what it is; `CLBALANCE_STATE_DIR` moves the state elsewhere",
            )


def _damaged(database: Path, what: str) -> StoreError:
    # With its write-ahead log, which would be applied to the next database. Job numbers and outputs stay.
    folder, away = quote(str(database.parent)), quote(f"{database.parent}.damaged")
    return StoreError(
        f"the state database `{database}` is damaged: {what}",
        hint=f"`mkdir -p {away} && mv {folder}/{database.name}* {away}` and run it again; history is lost, no job is",
    )


class transaction:  # noqa: N801 - reads as a function, as contextlib's own do
    """Hold the write lock over the block, and commit at its end, durably. An exception leaves the database unchanged.

    IMMEDIATE, because a transaction that reads first and writes later cannot wait for another writer: it fails.

    A class, because a signal may raise in any call: also right after BEGIN, and then too the transaction must end. A
    generator would keep it open as long as the traceback lives, and the next one would fail.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        if self._connection.in_transaction:
            self._connection.rollback()  # a signal came before the end of a block: transactions are never nested
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._connection.rollback()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._connection.commit()
        finally:
            self._connection.rollback()  # nothing is left to roll back after a commit


def storable(text: str) -> str:
    """`text` with lone surrogates as escapes: Python has such in file names that are not UTF-8; SQLite takes none."""
    return text.encode("utf-8", "backslashreplace").decode()
