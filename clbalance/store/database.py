"""Helpers for SQLite: transactions, text that it can store, and its errors as `StoreError` with hints."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from sqlite3 import Connection

from clbalance.errors import StoreError

BUSY_TIMEOUT_S = 2.0
"""How long a process waits for the write of another, which takes milliseconds."""


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
        case sqlite3.SQLITE_FULL:
            return StoreError(
                f"no space left for the state database `{database}`",
                hint=f"`df {folder}` shows the disk; `CLBALANCE_STATE_DIR` moves the state to another one",
            )
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


def _damaged(database: Path, what: str) -> StoreError:
    # Move the whole folder: a write-ahead log left behind would be applied to the next database.
    folder, away = quote(str(database.parent)), quote(f"{database.parent}.damaged")
    return StoreError(
        f"the state database `{database}` is damaged: {what}",
        hint=f"`mv {folder} {away}` and run it again; history is lost, no job is",
    )


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Hold the write lock over the block, and commit at its end, durably. An exception leaves the database unchanged.

    IMMEDIATE, because a transaction that reads first and writes later cannot wait for another writer: it fails.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def storable(text: str) -> str:
    """`text` with lone surrogates as escapes: Python has such in file names that are not UTF-8; SQLite takes none."""
    return text.encode("utf-8", "backslashreplace").decode()
