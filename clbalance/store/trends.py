"""Looks at nodes over the last day: a ring of them for each node, and what they come to.

The ring has a slot for every five minutes and `SLOTS` of them, so it is bounded by count without anybody clearing
up: a look overwrites the one that was taken so long, or a multiple of it, before. `SLOTS` is a prime: sweeps every
five minutes fill it as well as sweeps every hour do, and the rarer they are, the further back it reaches.

A sweep reads all of it and uses little: SQLite joins the looks of a node into one text, which is taken apart when
somebody asks for a trend (measured: docs/design/store.md).
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Trend
from clbalance.ports import Samples
from clbalance.store.text import storable

SLOTS: Final = 23
_SLOT_S: Final = 300
_MOST_AGE_S: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NODES_AT_ONCE: Final = 500  # SQLite before 3.32 takes 999 parameters at most


@dataclass(frozen=True, slots=True)
class Look:
    """The numbers of one look at a node; `at_s`: seconds since 1970."""

    at_s: int
    samples: Samples


def look_of(at: datetime, samples: Samples) -> Look:
    """What is no number is left out."""
    return Look(_seconds(at), {name: value for name, value in samples.items() if math.isfinite(value)})


def slot_of(at: datetime) -> int:
    """Where in the ring it goes."""
    return _seconds(at) // _SLOT_S % SLOTS


class Trends(Mapping[str, Trend]):
    """Trends by index, added up when the first of them is asked for."""

    __slots__ = ("_at", "_looks", "_told")

    def __init__(self, looks: Iterable[Look] | str, at: datetime) -> None:
        self._looks = looks
        self._at = at
        self._told: Mapping[str, Trend] | None = None

    def _trends(self) -> Mapping[str, Trend]:
        if self._told is None:
            looks = map(_look, self._looks.split("\n")) if isinstance(self._looks, str) else self._looks
            self._told = _trends_of(looks, self._at)
        return self._told

    def __getitem__(self, name: str) -> Trend:
        return self._trends()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._trends())

    def __len__(self) -> int:
        return len(self._trends())

    def __repr__(self) -> str:
        return f"Trends({dict(self)!r})"


def is_recent(look: Look, at: datetime) -> bool:
    """Whether it is of the day before `at`."""
    return 0 <= _seconds(at) - look.at_s <= _MOST_AGE_S


def _trends_of(looks: Iterable[Look], at: datetime) -> dict[str, Trend]:
    times: dict[str, list[int]] = {}
    values: dict[str, list[float]] = {}
    for look in looks:
        if is_recent(look, at):
            for name, value in look.samples.items():
                times.setdefault(name, []).append(look.at_s)
                values.setdefault(name, []).append(value)
    return {name: _trend(times[name], told) for name, told in values.items()}


def _trend(times: Sequence[int], values: Sequence[float]) -> Trend:
    count = len(values)
    mean = sum(values) / count
    # `statistics.pstdev` is exact, and takes 30 times as long.
    deviation = math.sqrt(sum([(value - mean) ** 2 for value in values]) / count)
    return Trend(
        count=count,
        mean=mean,
        deviation=deviation,
        least=min(values),
        most=max(values),
        span_s=float(max(times) - min(times)),
    )


def read_trends(connection: Connection, nodes: Sequence[NodeName], at: datetime) -> dict[NodeName, Trends]:
    """Of each node that was looked at."""
    found: dict[NodeName, Trends] = {}
    now_s = _seconds(at)
    for start in range(0, len(nodes), _NODES_AT_ONCE):
        some = nodes[start : start + _NODES_AT_ONCE]
        # No JSON of ours has a newline in it.
        query = (
            "SELECT node, group_concat(at_s || ' ' || told, char(10)) FROM look"  # noqa: S608 (only our own text)
            f" WHERE node IN ({', '.join('?' * len(some))}) AND at_s BETWEEN ? AND ? GROUP BY node"
        )
        for node, text in connection.execute(query, (*some, now_s - _MOST_AGE_S, now_s)):
            found[NodeName(node)] = Trends(text, at)
    return found


def forget_other_boots(connection: Connection, boots: Mapping[NodeName, str | None]) -> None:
    """Called before the table `reading` has these boots: what was seen of another one is over."""
    connection.executemany(
        "DELETE FROM look WHERE node = ?1 AND EXISTS (SELECT 1 FROM reading WHERE node = ?1 AND boot_id IS NOT ?2)",
        boots.items(),
    )


def write_looks(connection: Connection, at: datetime, samples: Mapping[NodeName, Samples]) -> None:
    """One look at each of these nodes."""
    slot = slot_of(at)
    looks = ((node, slot, look_of(at, values)) for node, values in samples.items())
    connection.executemany(
        "INSERT OR REPLACE INTO look (node, slot, at_s, told) VALUES (?, ?, ?, ?)",
        ((storable(node), slot, look.at_s, json.dumps(look.samples)) for node, slot, look in looks),
    )
    if slot == 0:  # every two hours or so, for nodes that are gone
        connection.execute("DELETE FROM look WHERE at_s < ?", (_seconds(at) - _MOST_AGE_S,))


def _seconds(at: datetime) -> int:
    return int((at - _EPOCH).total_seconds())


def _look(line: str) -> Look:
    """A row's own; a damaged database may hold anything, and then it is a look at nothing."""
    at_s, _, told = line.partition(" ")
    try:
        read = json.loads(told)
        number = int(at_s)
    except (ValueError, RecursionError):
        return Look(0, {})
    samples = read.items() if isinstance(read, dict) else ()
    return Look(number, {name: value for name, value in samples if isinstance(value, float) and math.isfinite(value)})
