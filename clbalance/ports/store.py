"""What is remembered of nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Reading, Trend
from clbalance.past import HistoryPoint, PastLook
from clbalance.strain import Strain


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What differences need of a reading, and the time when it was taken.

    That is its boot_id, uptime and counters; every other section is `Unknown`.
    """

    at: datetime
    reading: Reading


Samples: TypeAlias = Mapping[str, float]
"""Numbers of one look at a node, by the names of its indices."""


class Store(Protocol):
    """What this submit host remembers; losing it loses history, never a job."""

    def last_readings(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Remembered]:
        """The last known reading of each node that has one."""
        ...

    def remember(
        self,
        at: datetime,
        readings: Mapping[NodeName, Reading],
        samples: Mapping[NodeName, Samples] | None = None,
        past: Mapping[NodeName, PastLook] | None = None,
    ) -> None:
        """Keep these as the last known, and `samples` as one more look at their nodes; `past` is added to history.

        Looks at an earlier boot of a node are forgotten then; so are those of the same minute but the last.
        History is of all boots.
        """
        ...

    def history(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime
    ) -> Mapping[NodeName, Sequence[HistoryPoint]]:
        """Of each of them that was asked in that time, in its order: the older, the longer the spans."""
        ...

    def trends(self, nodes: Sequence[NodeName], at: datetime) -> Mapping[NodeName, Mapping[str, Trend]]:
        """What the looks of the day before `at` come to, of each node and index of which there are any."""
        ...

    def strains(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Strain]:
        """How often in a row each of them was silent, has answered, or was over; all 0 of one never looked at."""
        ...

    def keep_strains(self, at: datetime, strains: Mapping[NodeName, Strain]) -> None:
        """In the place of what was kept of these nodes."""
        ...

    def tallies(self) -> Mapping[str, float]:
        """Counters and last values of `rebalance`, by name, for `metrics`."""
        ...

    def tally(self, *, add: Mapping[str, float] | None = None, put: Mapping[str, float] | None = None) -> None:
        """Add to counters, and set last values."""
        ...
