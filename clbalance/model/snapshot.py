"""The result of a sweep: for each node an answer, or the reason for its silence. Frozen values."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model.forecast import Expected
from clbalance.model.plugins import NO_SITE_READING, SiteReading
from clbalance.model.reading import Allocation, NodeName, Reading, Unknown
from clbalance.model.slurm import SlurmNode


class Cause(StrEnum):
    """Why a node is silent, as precisely as ssh's messages allow."""

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
    NOT_ROOT = "not root"
    LIMITS = "too many logins"
    MUX = "connection sharing failed"
    STORAGE = "node storage"
    NO_SHELL = "no shell"
    PYTHON = "python3 failed"
    NOT_AWAITED = "not awaited"
    NOT_ASKED = "not asked"
    GARBLED = "garbled answer"
    LOST = "connection lost"
    LOCAL = "local failure"
    ENGINE = "its batch system"

    def because(self, reason: str) -> str:
        """The cause with `reason` in one phrase; the cause is left out if the reason contains it."""
        return reason if self.value in reason.casefold() else f"{self}: {reason}" if reason else self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Differences between two readings of the same boot, over `span_s` seconds."""

    span_s: float
    ut_pct: float | Unknown
    disk_bytes_per_s: float | Unknown
    net_bytes_per_s: float | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One index of a node over earlier samples, in the index's own unit; `count` is at least 1."""

    count: int
    mean: float
    deviation: float
    """Population standard deviation of the samples (divided by `count`)."""
    least: float
    most: float
    span_s: float
    """From the oldest sample to the newest; all are since the node's boot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A node that answered."""

    node: NodeName
    reading: Reading
    rates: Rates | Unknown
    rtt_s: float
    """From the request to the end of the answer, including the connection."""
    placed: tuple[Allocation, ...] = ()
    """Placed on it since it answered; its load and its leases do not show it yet."""
    cpu_factor: float = 1.0
    """Speed of one cpu relative to the cluster's reference cpu (LSF's CPU factor)."""
    slots: int | None = None
    """Number of slots by the settings; None: slots are not counted."""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Labels from the settings, such as `rack` = "r1"."""
    taints: frozenset[str] = frozenset()
    """Taints from the settings; only jobs that tolerate them are placed here."""
    trends: Mapping[str, Trend] = field(default_factory=dict, hash=False)
    """By the names of `policy/indices/samples.py`; without indices that have no earlier sample."""
    expected: Mapping[str, Expected] = field(default_factory=dict, hash=False)
    """What is expected of it later, by the keys of `policy.indices.table.FORECASTS`; empty where nobody asks for it."""
    suspect: str = ""
    """Why it is still suspect although it answers; empty: it is not suspect."""
    refused: str = ""
    """Why it could take no job a short while ago, whatever that job needs; empty: it is not known to be so."""
    slurm: SlurmNode | None = None
    """What Slurm says of it; None: Slurm was not asked, did not answer, or does not have it."""
    site: SiteReading = NO_SITE_READING
    """What the site's own programs say of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A node whose load is unknown, and why."""

    node: NodeName
    cause: Cause
    reason: str
    suspect: str = ""
    """How many sweeps in a row it did not answer, in words, if that makes it suspect; else empty."""


Answer: TypeAlias = Measured | Silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The answers of one sweep, in the order in which the nodes were named."""

    taken_at: datetime
    answers: tuple[Answer, ...]
    last_used: NodeName | None = None
    """The node that the last placed request went to."""
