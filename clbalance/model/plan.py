"""What is asked for, and what was chosen: filter, score and select in values."""

from collections.abc import Sequence
from enum import StrEnum

from clbalance.constraints import UNCONSTRAINED, Constraints
from clbalance.lazy_dataclass import dataclass
from clbalance.model.node_name import NodeName
from clbalance.model.snapshot import Snapshot


class Qos(StrEnum):
    """How firmly a job is promised what it uses: Kubernetes' classes and words."""

    GUARANTEED = "Guaranteed"
    """Cpus and memory are asked for, and limited to just that."""
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"
    """No cpus and no memory are asked for, and none limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be placed: `pick` copies (None: on every node that fits), each taking what is asked for here."""

    pick: int | None = 1
    cpus: float = 1.0
    mem_bytes: int = 0
    tmp_bytes: int = 0
    """Free in the temporary folder."""
    gpus: int = 0
    gpu_share: float = 1.0
    """Below 1: a part of one device, and `gpus` is 1."""
    gpu_mem_bytes: int = 0
    """Free on each device."""
    gpu_models: frozenset[str] = frozenset()
    """Exact names, one of which each device has; empty: any."""
    slots: int = 1
    exclusive: bool = False
    """No lease beside it."""
    needs_python: bool = False
    limit_cpus: float | None = None
    """What each copy may use at most, never less than it asks for; None: whatever is free."""
    limit_mem_bytes: int | None = None
    excluded: frozenset[NodeName] = frozenset()
    """Not to be used whatever they measure: named by `-x`, or they have just refused."""
    name: str = ""
    """Of the job, by which others ask to be near it or apart from it."""
    constraints: Constraints = UNCONSTRAINED


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """A node that may not be used: which filter said so, and why. `reason` also groups the histogram."""

    node: NodeName
    filter: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One scorer's part: `points` 0…100 (higher is better) times `weight`; `told` is what it was read from."""

    name: str
    points: float
    weight: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A ranked node: the weighted mean of its terms, 0…100."""

    node: NodeName
    total: float
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `place` decided: the chosen nodes, everyone's score or reason, and the snapshot as charged."""

    wanted: int | None
    chosen: tuple[NodeName, ...]
    ranked: Sequence[Score]
    unfit: Sequence[Unfit]
    charged: Snapshot
    runner_up: NodeName | None = None
    """Who would have been next."""

    @property
    def fits(self) -> bool:
        """Whether as many nodes were chosen as were asked for; every one that fits is at least one."""
        return len(self.chosen) >= (1 if self.wanted is None else self.wanted)

    @property
    def taken(self) -> tuple[NodeName, ...]:
        """The nodes that are used: of fewer than were asked for none is."""
        return self.chosen if self.fits else ()
