"""Input and output of rebalancing: settings, running jobs, departures and the plan. Frozen values.

The *level* of a node is its use divided by cpus times cpu factor: 1.0 is exactly full.
"""

import math

from clbalance.errors import SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Qos, Request, Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceSettings:
    """When a node is overloaded, and limits on the migrations of one run."""

    high: float | None = None
    """A node above this level is overloaded; None: no level is too high by itself."""
    low: float | None = None
    """Jobs go only to nodes below this level; None: to any node with a lower level than their own."""
    deviation: float | None = 0.25
    """A node this much above the mean of its pool is overloaded; None: the mean does not matter."""
    min_gain: float = 0.01
    """Least gain of a migration, see `PlannedMigration.gain`."""
    max_moves: int = 5
    confirm: int = 3
    """Number of runs in a row in which a node must be overloaded before jobs leave it."""
    cooldown_s: float = 1800.0
    """How long a migrated job stays on its new node. (15 minutes are too short if loads swing.)"""
    guaranteed: bool = False
    """Whether Guaranteed jobs may be migrated too."""

    def __post_init__(self) -> None:
        for name in ("high", "low", "deviation", "min_gain", "max_moves", "cooldown_s"):
            value: float | None = getattr(self, name)
            if value is not None and not 0.0 <= value < math.inf:
                raise SettingsError(f"`{name}` is {value:g}", hint="give a number that is 0 or more")
        if self.confirm < 1:
            raise SettingsError(f"`confirm` is {self.confirm}", hint="1 acts at the first sight of an uneven load")
        if self.high is not None and self.low is not None and self.low > self.high:
            raise SettingsError(
                f"`low` ({self.low:g}) is above `high` ({self.high:g})", hint="jobs go from above `high` to below `low`"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A running job of the caller, with the reasons against its migration.

    `request.excluded` includes the nodes that are not among the job's own candidates (`not_committed`).
    """

    job: int
    name: str
    node: NodeName
    request: Request
    cpus_used: float | None
    """Measured mean cpu use; None: not measured."""
    qos: Qos
    earlier_nodes: frozenset[NodeName]
    migrated_s_ago: float | None
    """Seconds since its last migration, or since it failed to checkpoint in time; None: neither happened."""
    not_committed: frozenset[NodeName] = frozenset()
    """Nodes of the pool that are not among its candidates."""
    missed_checkpoint: bool = False
    """Whether `migrated_s_ago` is about a checkpoint that it did not make in time."""
    why_not_migratable: str = ""
    """Why it may not be migrated, such as "has a terminal"; empty: it may."""
    key: str = ""
    """Key of its lease; empty: any lease of the caller with the same name and cpus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A copy of ours that left a node recently: it had `cpus` for `age_s` seconds, and ended `seconds_ago`."""

    node: NodeName
    cpus: float
    age_s: float
    seconds_ago: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMigration:
    """A job and its target.

    `gain`: by how much the highest level of the touched nodes falls. Migrations that only help together share their
    gain equally.
    """

    job: int
    name: str
    src: NodeName
    dst: NodeName
    gain: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLevel:
    """A node's level before and after the plan; both Unknown if its load is unknown."""

    node: NodeName
    before: float | Unknown
    after: float | Unknown
    cpus: float
    """Use in cpus before the plan; 0 if unknown."""
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Advice for the owner of another user's lease on an overloaded node."""

    uid: int
    node: NodeName
    name: str
    cpus: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalancePlan:
    """Migrations in the order of execution, and their effect.

    Scores are standard deviations of the levels, weighted by capacity; 0: perfectly level.
    """

    score_before: float
    score_after: float
    mean: float
    """Mean level, weighted by capacity; migrations do not change it."""
    bound: float
    """Lower bound of the largest level for any migrations of these jobs."""
    migrations: tuple[PlannedMigration, ...]
    levels: tuple[NodeLevel, ...]
    """Levels of all nodes, by name."""
    stays: tuple[tuple[RunningJob, str], ...]
    """Jobs on confirmed nodes that stay, by number, each with the reason."""
    advice: tuple[Advice, ...]
