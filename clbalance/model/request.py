"""What is asked of a placement, and what was chosen: filter, score and select in values."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Generic, TypeVar, overload

from clbalance.lazy_dataclass import dataclass
from clbalance.model.reading import NodeName
from clbalance.model.snapshot import Snapshot

# What a user says of the nodes that he would have, beside what his work takes of them. Frozen values.


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Rather nodes whose `label` has this value; `weight` counts against those of the scorers."""

    label: str
    value: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Expressions are kept as texts (docs/design/expressions.md): so a job that is remembered can be placed again."""

    where: str = ""
    """What holds of every node that is used; empty: anything does."""
    order: str = ""
    """What nodes are ranked by, the smallest first, instead of the policy's weights; empty: by those."""
    tolerated: frozenset[str] = frozenset()
    """Taints that do not matter."""
    preferences: tuple[Preference, ...] = ()
    near: tuple[str, ...] = ()
    """Names of jobs, each of which holds a lease on every node that is used."""
    apart: tuple[str, ...] = ()
    """Names of jobs, none of which does."""
    same: str = ""
    """A label that has one value on all nodes that are used."""


UNCONSTRAINED = Constraints()


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
    """One scorer's part: `points` 0…100 (higher is better) times `weight`; `source` is what it was read from."""

    name: str
    points: float
    weight: float
    source: str


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
    def nodes(self) -> tuple[NodeName, ...]:
        """The nodes that are used: of fewer than were asked for none is."""
        return self.chosen if self.fits else ()


# A sequence that is made when somebody first looks at it.

T_co = TypeVar("T_co", covariant=True)


class LazySequence(Sequence[T_co], Generic[T_co]):
    """What `make` gives, asked at most once; equal to any sequence with the same items in the same order."""

    def __init__(self, make: Callable[[], Iterable[T_co]]) -> None:
        self._make = make
        self._made: tuple[T_co, ...] | None = None

    def _items(self) -> tuple[T_co, ...]:
        if self._made is None:
            self._made = tuple(self._make())
        return self._made

    @overload
    def __getitem__(self, index: int) -> T_co: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T_co, ...]: ...

    def __getitem__(self, index: int | slice) -> T_co | tuple[T_co, ...]:
        return self._items()[index]

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[T_co]:
        return iter(self._items())

    def __eq__(self, other: object) -> bool:
        return self._items() == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._items())

    def __repr__(self) -> str:
        return repr(self._items())
