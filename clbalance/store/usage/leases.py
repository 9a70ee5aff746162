"""The history of leases: what each job held on a node, in the tiers of `store/history.py`, which calls this.

In minutes a row has what the last sweep of that minute found. In a row that sums others up, each number is the mean
over all samples of the node in that span: a job that was there for two of ten minutes has a fifth of its cpus.
"""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import Final

from clbalance.model import NodeName
from clbalance.model.node_history import LeasedUse, NodeSample
from clbalance.store.database import storable

TABLE: Final = "past_lease"
_PER_ONE: Final = 10_000
_NUMBERS: Final = ("cpus", "gpus", "gpus_known", "gpus_used", "gpus_idle")
_COLUMNS: Final = ", ".join(("tier", "slot_s", "node", "uid", "key", *_NUMBERS))


def write(connection: Connection, slot_s: int, samples: Mapping[NodeName, NodeSample]) -> None:
    """Replace what is known of this minute, for the nodes whose leases are known now."""
    known = {storable(node): sample.leases for node, sample in samples.items() if sample.leases is not None}
    connection.executemany(
        f"DELETE FROM {TABLE} WHERE tier = 0 AND slot_s = ? AND node = ?",  # noqa: S608 (only our own text)
        ((slot_s, node) for node in known),
    )
    connection.executemany(
        f"INSERT OR REPLACE INTO {TABLE} ({_COLUMNS}) VALUES (0, {', '.join('?' * 9)})",  # noqa: S608 (only our own text)
        (
            (slot_s, node, use.uid, storable(use.key), *(round(getattr(use, name) * _PER_ONE) for name in _NUMBERS))
            for node, uses in known.items()
            for use in uses
        ),
    )


def summarise(connection: Connection, tier: int, since_s: int, before_s: int) -> None:
    """Sum up the rows of the tier below in this span, over all samples of their nodes."""
    means = ", ".join(f"CAST(round(1.0 * sum(held.{name}) / seen.samples) AS INTEGER)" for name in _NUMBERS)
    span = (tier - 1, since_s, before_s)
    connection.execute(
        f"INSERT OR REPLACE INTO {TABLE} ({_COLUMNS})"  # noqa: S608 (only our own text)
        f" SELECT ?, ?, held.node, held.uid, held.key, {means} FROM {TABLE} AS held JOIN"
        " (SELECT node, count(*) AS samples FROM past WHERE tier = ? AND slot_s >= ? AND slot_s < ? AND asked > silent"
        " GROUP BY node) AS seen ON seen.node = held.node"
        " WHERE held.tier = ? AND held.slot_s >= ? AND held.slot_s < ? GROUP BY held.node, held.uid, held.key",
        (tier, since_s, *span, *span),
    )


def read(
    connection: Connection, tier: int, nodes: Sequence[NodeName], window: tuple[int, int]
) -> dict[tuple[int, str], list[LeasedUse]]:
    """The valid rows of a tier by their times and nodes. A damaged database may hold anything."""
    marks = ", ".join("?" * len(nodes))
    rows = connection.execute(
        f"SELECT slot_s, node, uid, key, {', '.join(_NUMBERS)} FROM {TABLE}"  # noqa: S608 (only our own text)
        f" WHERE tier = ? AND slot_s >= ? AND slot_s < ? AND node IN ({marks})",
        (tier, *window, *nodes),
    )
    found: dict[tuple[int, str], list[LeasedUse]] = {}
    for slot_s, node, uid, key, *numbers in rows:
        if isinstance(uid, int) and isinstance(key, str) and all(isinstance(one, int) and one >= 0 for one in numbers):
            held = dict(zip(_NUMBERS, (one / _PER_ONE for one in numbers), strict=True))
            found.setdefault((slot_s, node), []).append(LeasedUse(key=key, uid=uid, **held))
    return found
