"""History of nodes: samples, series, and failures in a row. Frozen values; keys carry units."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LeasedUse:
    """What one job holds on a node, and what becomes of its GPUs; in a summed-up row, the means over its span."""

    key: str
    uid: int
    cpus: float = 0.0
    gpus: float = 0.0
    gpus_known: float = 0.0
    """The GPUs whose use is known."""
    gpus_used: float = 0.0
    """The same, each weighted by its use, from 0 to 1."""
    gpus_idle: float = 0.0
    """Those of them that are idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSample:
    """One sweep's numbers of one node, by the keys of `policy.indices.table.HISTORY`; unknown numbers are left out."""

    answered: bool
    values: Mapping[str, float] = field(default_factory=dict)
    gpus: tuple[Mapping[str, float], ...] = ()
    """One mapping a GPU, in the node's order, by the keys of `policy.indices.table.GPU_SERIES`."""
    leases: tuple[LeasedUse, ...] | None = None
    """One for each job with a lease; None: not known."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One index over a span: `mean` of the samples, or of the means of shorter spans."""

    least: float
    mean: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    """The samples of one node in the `span_s` seconds from `at_s` (seconds since 1970), summed up."""

    at_s: int
    span_s: int
    asked: int
    """How many times the node was asked, at least 1."""
    silent: int
    """How many times it did not answer."""
    values: Mapping[str, Aggregate] = field(default_factory=dict)
    gpus: Mapping[int, Mapping[str, Aggregate]] = field(default_factory=dict)
    leases: tuple[LeasedUse, ...] = ()
    parts: int = 1
    """How many ten minutes of it had a sample: 1, but for the rows of hours."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The last answer of a node, packed (`probe/kept_answer.py`), and when it came."""

    at: datetime
    content: bytes


# -- failures in a row ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStreak:
    """What this host saw of a node several times in a row."""

    silent: int = 0
    """Number of unanswered sweeps up to the last one."""
    answered: int = 0
    """Number of answered sweeps since it became suspect."""
    suspect: bool = False
    over: int = 0
    """Number of `rebalance` runs in a row in which its load was too high."""
    silent_at_s: float = 0.0
    """When it was last counted as silent; seconds since 1970."""
    refused: str = ""
    """Why it could take no job when it was last asked to, whatever that job needs; empty: it never refused so."""
    refused_at_s: float = 0.0
    worked_in_boot: str = ""
    """The boot in which an agent of ours has started there; empty: none has."""
