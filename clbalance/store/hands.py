"""Who has a job in hand: the process that its row names, as long as that lives."""

import sqlite3
from pathlib import Path

from clbalance.errors import StoreError
from clbalance.store.controllers import Controllers


class Hands:
    """Questions about rows of `job`, asked within the transaction of whoever asks."""

    def __init__(self, connection: sqlite3.Connection, database: Path) -> None:
        self._connection = connection
        self._database = database
        self._controllers = Controllers(database.parent)

    def close(self) -> None:
        """Have no job in hand any more."""
        self._controllers.close()

    def mine(self) -> str:
        """The name of this process in a row."""
        try:
            return self._controllers.mine()
        except OSError as error:
            raise StoreError(
                f"`{self._database.parent}/controllers`: {error.strerror}",
                hint="`CLBALANCE_STATE_DIR` moves the state to another folder",
            ) from error

    def is_alive(self, controller: str | None) -> bool:
        """Whether the process of that name lives."""
        return self._controllers.is_alive(controller)

    def is_anothers(self, job: int) -> bool:
        """Whether a living process other than this one has it in hand."""
        controller = self._of(job)
        return not self._controllers.is_mine(controller) and self.is_alive(controller)

    def is_in_hand(self, job: int) -> bool:
        """Whether a living process has it, this one or another."""
        return self.is_alive(self._of(job))

    def _of(self, job: int) -> str | None:
        row = self._connection.execute("SELECT controller FROM job WHERE id = ?", (job,)).fetchone()
        return None if row is None else row[0]
