"""The table of forecasts: a row of numbers for each node, beside the history (`policy/forecast/node.py`)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import Final

from clbalance.model import NodeName
from clbalance.model.node_history import NodeSample
from clbalance.policy.forecast.node import slot_at, with_sample
from clbalance.store.database import storable

_NODES_AT_ONCE: Final = 500  # SQLite before 3.32 takes 999 parameters at most
_FORGOTTEN_AFTER: Final = 30 * 288
"""Steps of five minutes."""
_TIDY_EVERY: Final = 12


def write_forecasts(connection: Connection, at: datetime, samples: Mapping[NodeName, NodeSample]) -> None:
    """Count one sample of each node that answered, once in five minutes. Call it within a transaction."""
    slot = slot_at(at.timestamp())
    nodes = [node for node, sample in samples.items() if sample.values]
    known = {node: (last, state) for node, last, state in _rows(connection, nodes, slot)}
    due = [node for node in nodes if known.get(node, (None,))[0] != slot]
    connection.executemany(
        # Not `INSERT OR REPLACE`, which deletes the row first, and takes twice as long.
        "INSERT INTO forecast (node, slot, state) VALUES (?, ?, ?)"
        " ON CONFLICT (node) DO UPDATE SET slot = excluded.slot, state = excluded.state",
        (
            (storable(node), slot, with_sample(known[node][1] if node in known else None, slot, samples[node].values))
            for node in due
        ),
    )
    if due and slot % _TIDY_EVERY == 0:
        connection.execute("DELETE FROM forecast WHERE slot < ?", (slot - _FORGOTTEN_AFTER,))


def read_forecasts(connection: Connection, nodes: Sequence[NodeName]) -> dict[NodeName, bytes]:
    """The states of these nodes, those that have one."""
    return {node: state for node, _, state in _rows(connection, nodes, None) if state is not None}


def _rows(
    connection: Connection, nodes: Sequence[NodeName], slot: int | None
) -> Iterator[tuple[NodeName, object, bytes | None]]:
    """The node, its last step, and its state; that is left out where the step is `slot`."""
    for start in range(0, len(nodes), _NODES_AT_ONCE):
        some = nodes[start : start + _NODES_AT_ONCE]
        marks = ", ".join("?" * len(some))
        query = f"SELECT node, slot, CASE WHEN slot IS NOT ? THEN state END FROM forecast WHERE node IN ({marks})"  # noqa: S608 (only our own text)
        for node, last, state in connection.execute(query, (slot, *some)):
            # A damaged database may hold any type in any column.
            yield NodeName(node), last, state if isinstance(state, bytes) else None
