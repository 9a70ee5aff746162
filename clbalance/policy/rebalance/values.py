"""What a plan of moves is made from, and what it says. Frozen values.

A *level* is a node's load per cpu, times its cpu factor: 1.0 is as much as it has.
"""

import math

from clbalance.errors import SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Qos, Request, Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceSettings:
    """When a node has too much, and how much may be done about it at a time."""

    high: float | None = None
    """A node is over above this level; None: no level is too high by itself."""
    low: float | None = None
    """Jobs go to nodes below this level; None: to any that is lower than where they are."""
    deviation: float | None = 0.25
    """A node is over where it is more than so much above the mean of its pool; None: however much that is."""
    min_gain: float = 0.01
    """By how much each move makes the worst of its nodes better, at least: see `PlannedMigration.gain`."""
    max_moves: int = 5
    confirm: int = 3
    """In so many runs in a row a node has been over before anything is taken off it."""
    cooldown_s: float = 1800.0
    """So long a job stays where it was moved to. (A quarter of an hour is too short for loads that swing.)"""
    guaranteed: bool = False
    """Whether Guaranteed jobs may be moved as well."""

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
    """A running job of the caller, of one copy, and what speaks against moving it.

    `request.excluded` names also the nodes that are not among the job's own candidates: `not_committed`.
    """

    job: int
    name: str
    node: NodeName
    request: Request
    cpus_used: float | None
    """Its measured mean use; None: nobody has measured it."""
    qos: Qos
    been_on: frozenset[NodeName]
    migrated_s_ago: float | None
    """None: it never was."""
    not_committed: frozenset[NodeName] = frozenset()
    """Nodes of the pool that it was not submitted for."""
    in_vain: bool = False
    """It was not moved then, but told to checkpoint, and did not in time."""
    why_not_migratable: str = ""
    """Why it may not be touched, such as "two copies"; empty: it may."""
    key: str = ""
    """Of its lease; empty: whichever is the caller's and has its name and its cpus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A job of ours that has left a node lately: it took `cpus` for `age_s`, until `seconds_ago`."""

    node: NodeName
    cpus: float
    age_s: float
    seconds_ago: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMigration:
    """That a job goes on at `dst`.

    `gain`: by how much the level of the worst of the nodes concerned falls. Of several moves that only
    together are worth it, each has its equal part.
    """

    job: int
    name: str
    src: NodeName
    dst: NodeName
    gain: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLevel:
    """One node's level, and what it will be; Unknown both: it has no load that is known."""

    node: NodeName
    before: float | Unknown
    after: float | Unknown
    cpus: float
    """The load that counts, in cpus, before; 0 where it is not known."""
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What the owner of somebody else's lease could do about a node that has too much."""

    uid: int
    node: NodeName
    name: str
    cpus: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalancePlan:
    """Moves in the order in which they are to be carried out, and what they come to.

    Scores are standard deviations of the levels, each node counted by what it has; 0: level.
    """

    score_before: float
    score_after: float
    mean: float
    """Level of the pool, each node counted by what it has: no move changes it."""
    bound: float
    """No moves of these jobs can make the largest level less than this."""
    migrations: tuple[PlannedMigration, ...]
    levels: tuple[NodeLevel, ...]
    """Of all nodes, by name."""
    stays: tuple[tuple[RunningJob, str], ...]
    """Jobs on confirmed nodes that stay, each with the reason, by number."""
    advice: tuple[Advice, ...]
