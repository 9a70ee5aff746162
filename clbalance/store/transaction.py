"""All or nothing, durable when the block is left."""

from collections.abc import Iterator
from contextlib import contextmanager
from sqlite3 import Connection


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Hold the write lock over the block and commit at its end; an exception leaves the database as it was.

    IMMEDIATE: a transaction that reads first and writes later cannot wait for another writer, it can only fail.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
