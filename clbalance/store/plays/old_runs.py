"""Which runs are forgotten: so that the state database does not grow for ever.

Runs of living processes, and the newest ten, always stay. Of the others the newest 200 and the newest ten of each
playbook stay, as long as all runs together take at most 256 MiB: what cron runs every five minutes does not drive out
the upgrade of last week. A run is forgotten in small transactions, so that other processes need not wait.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from sqlite3 import Connection
from typing import Final

from clbalance.model.play_run import RunState
from clbalance.store.database import transaction

MOST_RUNS: Final = 200
MOST_BYTES: Final = 256 << 20
ALWAYS_KEPT: Final = 10
_ROW_BYTES: Final = 100
_ROWS_AT_ONCE: Final = 5000


def forget_old_runs(connection: Connection, is_alive: Callable[[str | None], bool]) -> None:
    """Delete what is beyond the limits, outside of a transaction."""
    _count_bytes(connection, is_alive)
    for number in list(_old_runs(connection, is_alive)):
        _forget(connection, number)


def _count_bytes(connection: Connection, is_alive: Callable[[str | None], bool]) -> None:
    query = "SELECT id, state, controller FROM play WHERE bytes IS NULL"
    counted = f"""
        UPDATE play SET bytes = length(content) + (
            SELECT count(*) * {_ROW_BYTES} + coalesce(sum(length(out) + length(err) + length(reason)), 0)
            FROM play_step WHERE run = play.id
        ) WHERE id = ?
    """  # noqa: S608 (only our own text)
    for number, state, controller in connection.execute(query).fetchall():
        if state != RunState.RUNNING or not is_alive(controller):
            with transaction(connection):
                connection.execute(counted, (number,))


def _old_runs(connection: Connection, is_alive: Callable[[str | None], bool]) -> Iterator[int]:
    taken = 0
    of_file: Counter[str] = Counter()
    query = "SELECT id, file, coalesce(bytes, 0), state, controller FROM play ORDER BY id DESC"
    for at, (number, file, size, state, controller) in enumerate(connection.execute(query).fetchall()):
        taken += size
        of_file[file] += 1
        lives = state == RunState.RUNNING and is_alive(controller)
        is_beyond = taken > MOST_BYTES or (at >= MOST_RUNS and of_file[file] > ALWAYS_KEPT)
        if at >= ALWAYS_KEPT and not lives and is_beyond:
            yield number


def _forget(connection: Connection, number: int) -> None:
    """Its steps first: as long as it has a row, whoever is interrupted here goes on next time."""
    some = f"SELECT id FROM play_step WHERE run = ? LIMIT {_ROWS_AT_ONCE}"  # noqa: S608 (only our own text)
    deleted = _ROWS_AT_ONCE
    while deleted == _ROWS_AT_ONCE:
        with transaction(connection):
            deleted = connection.execute(f"DELETE FROM play_step WHERE id IN ({some})", (number,)).rowcount  # noqa: S608 (only our own text)
    with transaction(connection):
        connection.execute("DELETE FROM play_node WHERE run = ?", (number,))
        connection.execute("DELETE FROM play WHERE id = ?", (number,))
