"""A store that remembers nothing beyond this process: for `load` and `pick` where the real one cannot be opened."""

import sqlite3
import weakref
from collections.abc import Mapping, Sequence
from datetime import datetime

from clbalance.model import NodeName, Reading, Trend
from clbalance.model.node_history import HistoryPoint, PastLook, Strain
from clbalance.ports import Remembered, Samples
from clbalance.store.history import read_past, write_past
from clbalance.store.readings import Look, Trends, boot_of, is_recent, look_of, remembered, row_of, slot_of
from clbalance.store.schema import migrate


class ForgetfulStore:
    """Memory of one process. Its job numbers start at 1 each time: a host that gives them out repeats itself."""

    def __init__(self) -> None:
        self._readings: dict[NodeName, Remembered] = {}
        self._looks: dict[NodeName, dict[int, Look]] = {}
        self._strains: dict[NodeName, Strain] = {}
        self._tallies: dict[str, float] = {}
        # In memory, as SQLite adds it up there. Any thread may be the one that clears it away.
        self._past = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        migrate(self._past)
        weakref.finalize(self, self._past.close)

    def last_readings(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Remembered]:
        return {node: self._readings[node] for node in nodes if node in self._readings}

    def remember(
        self,
        at: datetime,
        readings: Mapping[NodeName, Reading],
        samples: Mapping[NodeName, Samples] | None = None,
        past: Mapping[NodeName, PastLook] | None = None,
    ) -> None:
        for node, reading in readings.items():
            # Through a row, so that no more is kept here than there.
            kept = remembered(row_of(at, reading))
            assert kept is not None, "a row of our own has a time"
            if node in self._readings and boot_of(self._readings[node].reading) != boot_of(reading):
                self._looks.pop(node, None)
            self._readings[node] = kept
        for node, values in (samples or {}).items():
            self._looks.setdefault(node, {})[slot_of(at)] = look_of(at, values)
        write_past(self._past, at, past or {})

    def history(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime
    ) -> Mapping[NodeName, Sequence[HistoryPoint]]:
        return read_past(self._past, nodes, since, until)

    def trends(self, nodes: Sequence[NodeName], at: datetime) -> Mapping[NodeName, Mapping[str, Trend]]:
        recent = {
            node: tuple(look for look in self._looks[node].values() if is_recent(look, at))
            for node in nodes
            if node in self._looks
        }
        return {node: Trends(looks, at) for node, looks in recent.items() if looks}

    def strains(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Strain]:
        return {node: self._strains.get(node, Strain()) for node in nodes}

    def keep_strains(self, at: datetime, strains: Mapping[NodeName, Strain]) -> None:
        del at
        self._strains |= strains

    def tallies(self) -> Mapping[str, float]:
        return dict(sorted(self._tallies.items()))

    def tally(self, *, add: Mapping[str, float] | None = None, put: Mapping[str, float] | None = None) -> None:
        for name, more in (add or {}).items():
            self._tallies[name] = self._tallies.get(name, 0.0) + more
        self._tallies |= put or {}
