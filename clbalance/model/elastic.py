"""A pool of nodes that are started and stopped by demand (docs/design/elastic.md). Frozen values.

Instants are seconds since the epoch, durations seconds, loads r1m per CPU.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from clbalance.lazy_dataclass import dataclass
from clbalance.model.reading import NodeName


class Mark(StrEnum):
    """Who has drained a node."""

    NONE = "none"
    OURS = "ours"
    """An earlier run of this playbook, to stop it."""
    FAILED = "failed"
    """An earlier run of this playbook, which could not stop it."""
    OTHER = "other"
    """Somebody else; or it is unknown whether it is drained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticNode:
    """A node at one look. If it is silent, it is not `is_up`, and its other values mean nothing."""

    node: NodeName
    is_up: bool = True
    mark: Mark = Mark.NONE
    uses: int | None = 0
    """Leases, logins, and GPUs that are not free; None: unknown."""
    r1m: float | None = 0.0
    load: float | None = 0.0
    """r1m per CPU. Both: None is unknown."""

    @property
    def serves(self) -> bool:
        """Whether it takes jobs."""
        return self.is_up and self.mark is Mark.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticLimits:
    """The rules of a pool. `busy` and `calm` are per CPU, `idle_load` is r1m of the whole node."""

    floor: int
    ceiling: int
    busy: float = 0.9
    calm: float = 0.7
    idle_load: float = 0.5
    idle_s: float = 900.0
    start_after_s: float = 120.0
    settle_s: float = 300.0
    boot_s: float = 600.0
    retry_s: float = 3600.0
    actions: int = 10
    window_s: float = 3600.0


class ElasticAction(StrEnum):
    """What is to be done to a node."""

    START = "start"
    STOP = "stop"
    RESUME = "resume"
    FAILED = "failed"
    """Nothing but to tell that it did not come up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDecision:
    """One thing to do, and why."""

    node: NodeName
    action: ElasticAction
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePast:
    """What is remembered of a node: instants in seconds, None for never or not now."""

    up_at: float | None = None
    """The last look at which it answered."""
    idle_since: float | None = None
    started_at: float | None = None
    """Its last start, until it has come up."""
    stopped_at: float | None = None
    """Its last stop, until it was resumed or started."""
    told: bool = False
    """It was told that the node did not come up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticPast:
    """What is remembered between two looks."""

    wanted_since: float | None = None
    """Since when more nodes are wanted without a break."""
    starts: tuple[float, ...] = ()
    """Within the window."""
    stops: tuple[float, ...] = ()
    nodes: Mapping[NodeName, NodePast] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticPlan:
    """What to do, why no more than that, and what to remember before it is done."""

    decisions: tuple[NodeDecision, ...]
    remark: str
    past: ElasticPast
