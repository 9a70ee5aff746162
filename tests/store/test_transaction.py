"""A transaction ends with its block, also when a signal raises in the middle of it."""

import sqlite3
from collections.abc import Callable

import pytest

from clbalance.errors import Interrupted
from clbalance.store.database import transaction


class Signalled(sqlite3.Connection):
    """Raises as a signal handler would: after a statement was executed, before the caller goes on."""

    after = ""

    def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:  # type: ignore[override]
        done = super().execute(sql, *arguments)  # type: ignore[arg-type]
        if self.after and sql.startswith(self.after):
            self.after = ""
            raise Interrupted(15)
        return done


@pytest.fixture
def connection() -> Signalled:
    opened = sqlite3.connect(":memory:", factory=Signalled, isolation_level=None)
    opened.execute("CREATE TABLE job (id INTEGER)")
    return opened


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT"])
def test_after_a_signal_the_next_transaction_can_begin(connection: Signalled, statement: str) -> None:
    connection.after = statement
    try:
        with transaction(connection):
            connection.execute("INSERT INTO job VALUES (1)")
    except Interrupted:  # its traceback lives on while the program cleans up
        with transaction(connection):
            connection.execute("INSERT INTO job VALUES (2)")
    assert connection.execute("SELECT id FROM job").fetchall() == [(2,)]


def test_a_block_that_was_left_without_its_end_is_undone_by_the_next(connection: Signalled) -> None:
    left = transaction(connection)
    left.__enter__()  # a signal in the first moment of `__exit__` leaves it so
    connection.execute("INSERT INTO job VALUES (1)")
    with transaction(connection):
        connection.execute("INSERT INTO job VALUES (2)")
    assert connection.execute("SELECT id FROM job").fetchall() == [(2,)]


def _fail() -> None:
    raise ValueError


@pytest.mark.parametrize(("last", "kept"), [(lambda: None, [(1,)]), (_fail, [])], ids=["ends", "fails"])
def test_all_of_a_block_is_kept_or_nothing(
    connection: Signalled, last: Callable[[], None], kept: list[tuple[int]]
) -> None:
    try:
        with transaction(connection):
            connection.execute("INSERT INTO job VALUES (1)")
            last()
    except ValueError:
        pass
    assert not connection.in_transaction
    assert connection.execute("SELECT id FROM job").fetchall() == kept
