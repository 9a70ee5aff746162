"""What a sweep found: of each node an answer, or why there is none."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model.reading import Allocation, NodeName, Reading, Unknown


class Cause(StrEnum):
    """Why a node is silent. Told apart as far as ssh's words allow."""

    DNS = "name not resolved"
    UNREACHABLE = "unreachable"
    REFUSED = "connection refused"
    HUNG = "hung"
    TIMEOUT = "timed out"
    THROTTLED = "throttled"
    PENALISED = "penalised"
    HOSTKEY_CHANGED = "host key changed"
    HOSTKEY_UNKNOWN = "host key unknown"
    AUTH = "authentication failed"
    LIMITS = "too many logins"
    MUX = "connection sharing failed"
    STORAGE = "node storage"
    NO_SHELL = "no shell"
    PYTHON = "python3 failed"
    NOT_AWAITED = "not awaited"
    GARBLED = "garbled answer"
    LOST = "connection lost"
    LOCAL = "local failure"

    def because(self, reason: str) -> str:
        """The cause with its reason in one phrase, without saying the same twice."""
        return reason if self.value in reason.casefold() else f"{self}: {reason}" if reason else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Differences between two readings of the same boot, over `span_s` seconds."""

    span_s: float
    ut_pct: float
    disk_bytes_per_s: float | Unknown
    net_bytes_per_s: float | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One index of a node over the looks before this one, in the index's own unit; `count` is at least 1."""

    count: int
    mean: float
    deviation: float
    """Standard deviation of those looks, not of a population behind them."""
    least: float
    most: float
    span_s: float
    """From the oldest look to the newest; all since the node was booted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A node that answered."""

    node: NodeName
    reading: Reading
    rates: Rates | Unknown
    rtt_s: float
    """From asking to the end of the answer, connection included."""
    placed: tuple[Allocation, ...] = ()
    """What was placed on it since it answered: neither its load nor its leases show that."""
    cpu_factor: float = 1.0
    """How fast one cpu of this node is against the cluster's plain one (LSF's CPU factor)."""
    slots: int | None = None
    """How many slots somebody gave it; None: they are not counted."""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What the settings say of it, such as `rack` = "r1"."""
    taints: frozenset[str] = frozenset()
    """What the settings say speaks against it, for whoever does not tolerate that."""
    trends: Mapping[str, Trend] = field(default_factory=dict, hash=False)
    """By the names of `policy/indices/samples.py`; what was never looked at before is not among them."""
    suspect: str = ""
    """Why it is not trusted yet, though it answers; empty: it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A node whose load is unknown, and why."""

    node: NodeName
    cause: Cause
    reason: str
    suspect: str = ""
    """How often in a row it has not answered, where that makes it suspect."""


Answer: TypeAlias = Measured | Silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The answers of one sweep, in the order in which the nodes were named."""

    taken_at: datetime
    answers: tuple[Answer, ...]
    last_used: NodeName | None = None
    """Where the last request went that was placed on it."""
