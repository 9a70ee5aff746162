"""A store in the memory of this process: for `load` and `pick` when the state database cannot be opened, and for the
steps of playbooks, each of which asks its node in a thread of its own.
"""

import sqlite3
import threading
import weakref
from collections.abc import Mapping, Sequence
from datetime import datetime

from clbalance.model import NodeName, Reading, Trend
from clbalance.model.node_history import FailureStreak, KeptAnswer, NodeSample, SeriesPoint
from clbalance.ports import IndexValues, Remembered
from clbalance.store.forecasts.rows import read_forecasts, write_forecasts
from clbalance.store.history import read_mean_load, read_past, write_past
from clbalance.store.readings import (
    Trends,
    TrendSample,
    boot_of,
    is_kept,
    is_recent,
    remembered,
    row_of,
    slot_of,
    trend_sample,
)
from clbalance.store.schema import migrate


class InMemoryStore:
    """`ports.Store` in the memory of one process. Any thread may use it."""

    def __init__(self) -> None:
        self._readings: dict[NodeName, Remembered] = {}
        self._samples: dict[NodeName, dict[int, TrendSample]] = {}
        self._answers: dict[NodeName, KeptAnswer] = {}
        self._streaks: dict[NodeName, FailureStreak] = {}
        self._counters: dict[str, float] = {}
        self._choices: dict[str, str] = {}
        self._lock = threading.Lock()
        # SQLite in memory, for the same SQL as the real store. Any thread may be the one that closes it.
        self._past = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        migrate(self._past)
        weakref.finalize(self, self._past.close)

    def last_readings(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Remembered]:
        return {node: self._readings[node] for node in nodes if node in self._readings}

    def remember(
        self,
        at: datetime,
        readings: Mapping[NodeName, Reading],
        samples: Mapping[NodeName, IndexValues] | None = None,
        past: Mapping[NodeName, NodeSample] | None = None,
        *,
        came_at: Mapping[NodeName, datetime] | None = None,
        answers: Mapping[NodeName, bytes] | None = None,
    ) -> None:
        came_at = came_at or {}
        with self._lock:
            for node, reading in readings.items():
                # Through a row, so that this keeps no more than the database would.
                kept = remembered(row_of(came_at.get(node, at), reading))
                assert kept is not None, "a row of our own has a time"
                if node in self._readings and boot_of(self._readings[node].reading) != boot_of(reading):
                    self._samples.pop(node, None)
                self._readings[node] = kept
            for node, values in (samples or {}).items():
                self._samples.setdefault(node, {})[slot_of(at)] = trend_sample(at, values)
            write_past(self._past, at, past or {})
            write_forecasts(self._past, at, past or {})
            for node, content in (answers or {}).items():
                self._answers.pop(node, None)
                if is_kept(content):
                    self._answers[node] = KeptAnswer(came_at.get(node, at), content)

    def last_answers(self, nodes: Sequence[NodeName], since: datetime) -> Mapping[NodeName, KeptAnswer]:
        with self._lock:
            found = {node: self._answers[node] for node in nodes if node in self._answers}
        return {node: kept for node, kept in found.items() if kept.at >= since}

    def history(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime, *, keys: frozenset[str] | None = None
    ) -> Mapping[NodeName, Sequence[SeriesPoint]]:
        with self._lock:
            return read_past(self._past, nodes, since, until, keys)

    def mean_load(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime
    ) -> Mapping[NodeName, tuple[float, int]]:
        with self._lock:
            return read_mean_load(self._past, nodes, since, until)

    def forecasts(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, bytes]:
        with self._lock:
            return read_forecasts(self._past, nodes)

    def trends(self, nodes: Sequence[NodeName], at: datetime) -> Mapping[NodeName, Mapping[str, Trend]]:
        with self._lock:
            recent = {
                node: tuple(sample for sample in self._samples[node].values() if is_recent(sample, at))
                for node in nodes
                if node in self._samples
            }
        return {node: Trends(samples, at) for node, samples in recent.items() if samples}

    def failure_streaks(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, FailureStreak]:
        return {node: self._streaks.get(node, FailureStreak()) for node in nodes}

    def save_failure_streaks(self, at: datetime, streaks: Mapping[NodeName, FailureStreak]) -> None:
        del at
        self._streaks |= streaks

    def counters(self) -> Mapping[str, float]:
        return dict(sorted(self._counters.items()))

    def update_counters(
        self, *, add: Mapping[str, float] | None = None, put: Mapping[str, float] | None = None
    ) -> None:
        with self._lock:
            for name, more in (add or {}).items():
                self._counters[name] = self._counters.get(name, 0.0) + more
            self._counters |= put or {}

    def choice(self, name: str) -> str | None:
        return self._choices.get(name)

    def keep_choices(self, contents: Mapping[str, str]) -> None:
        self._choices |= contents
