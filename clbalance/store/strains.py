"""What was seen of nodes several times in a row, and what `rebalance` has counted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import Final

from clbalance.model import NodeName
from clbalance.store.text import storable
from clbalance.strain import Strain

_COLUMNS: Final = "silent, answered, suspect, over, silent_at_s"
_FORGOTTEN_AFTER_S: Final = 30 * 86_400


def read_strains(connection: Connection, nodes: Sequence[NodeName]) -> dict[NodeName, Strain]:
    """Of those that were kept; the whole table is read, for few nodes of a host are not asked for."""
    wanted = set(nodes)
    rows = connection.execute(f"SELECT node, {_COLUMNS} FROM strain")  # noqa: S608 (only our own text)
    return {
        NodeName(node): Strain(
            silent=silent, answered=answered, suspect=bool(suspect), over=over, silent_at_s=silent_at_s
        )
        for node, silent, answered, suspect, over, silent_at_s in rows
        if node in wanted
    }


def write_strains(connection: Connection, at: datetime, strains: Mapping[NodeName, Strain]) -> None:
    """In the place of what was kept of these nodes; what was not seen for a month is forgotten."""
    at_s = int(at.timestamp())
    connection.executemany(
        f"INSERT OR REPLACE INTO strain (node, {_COLUMNS}, at_s) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 (only our own text)
        (
            (storable(node), one.silent, one.answered, one.suspect, one.over, one.silent_at_s, at_s)
            for node, one in strains.items()
        ),
    )
    connection.execute("DELETE FROM strain WHERE at_s < ?", (at_s - _FORGOTTEN_AFTER_S,))


def read_tallies(connection: Connection) -> dict[str, float]:
    """All of them."""
    return dict(connection.execute("SELECT name, value FROM tally ORDER BY name"))


def write_tallies(connection: Connection, add: Mapping[str, float], put: Mapping[str, float]) -> None:
    """Add to some, set others."""
    connection.executemany(
        "INSERT INTO tally (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        add.items(),
    )
    connection.executemany("INSERT OR REPLACE INTO tally (name, value) VALUES (?, ?)", put.items())
