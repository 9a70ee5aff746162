"""Placement's input and output: request, constraints, scores, unfit nodes and plan. Frozen values."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Generic, TypeVar, overload

from clbalance.lazy_dataclass import dataclass
from clbalance.model.reading import NodeName
from clbalance.model.snapshot import Snapshot

# -- constraints and preferences ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Prefer nodes whose `label` has this value; `weight` is on the scale of the scorers' weights."""

    label: str
    value: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Rules about nodes. Expressions are stored as text, to place a queued job again (docs/design/expressions.md)."""

    where: str = ""
    """Condition for every node of the job; empty: none."""
    order: str = ""
    """Expressions that nodes are ranked by, smallest first, in place of the policy's weights; empty: by the weights."""
    tolerated: frozenset[str] = frozenset()
    """Taints that the job tolerates."""
    force: bool = False
    """Thresholds, suspicion, load without a lease, and drains that our user may lift there are set aside."""
    preferences: tuple[Preference, ...] = ()
    near: tuple[str, ...] = ()
    """Names of jobs; each of them must hold a lease on every node of this one."""
    apart: tuple[str, ...] = ()
    """Names of jobs; none of them may hold a lease on a node of this one."""
    same: str = ""
    """A label whose value must be the same on all nodes of the job."""
    ask_all: bool = False
    """All candidates are asked, also where a few of them would do."""


UNCONSTRAINED = Constraints()


class Qos(StrEnum):
    """Kubernetes' QoS classes: how much of its use is guaranteed to a job."""

    GUARANTEED = "Guaranteed"
    """Cpus and memory are requested, with limits equal to the requests."""
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"
    """No requests and no limits for cpus and memory."""


class HiddenGpus(StrEnum):
    """The setting `gpus.hide`: which devices are hidden from a job without GPUs."""

    LEASED = "leased"
    """Those on which jobs hold leases."""
    USED = "used"
    """Those, and all that other users' processes use."""
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`pick` copies to place (None: one on every node that fits), and the resources that each copy needs."""

    pick: int | None = 1
    cpus: float = 1.0
    mem_bytes: int = 0
    tmp_bytes: int = 0
    """Free space needed in the temporary folder."""
    gpus: int = 0
    gpu_share: float = 1.0
    """Below 1: a share of one device; `gpus` is then 1."""
    gpu_mem_bytes: int = 0
    """Free memory needed on each device."""
    gpu_models: frozenset[str] = frozenset()
    """Exact model names of which a device must have one; empty: any model."""
    slots: int = 1
    exclusive: bool = False
    """No other lease may be on its nodes."""
    needs_python: bool = False
    """Nodes must have what every job needs: python3, and a node folder with room. False only for `replay`."""
    limit_cpus: float | None = None
    """Cpu limit of each copy, never below its request; None: whatever is free."""
    limit_mem_bytes: int | None = None
    excluded: frozenset[NodeName] = frozenset()
    """Nodes not to use: named by `-x`, or they have just refused the job."""
    name: str = ""
    """The job's name, for `--near` and `--apart` of other jobs."""
    constraints: Constraints = UNCONSTRAINED


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """A node that does not fit, with the filter and the reason. Nodes are counted by `reason` in summaries."""

    node: NodeName
    filter: str
    reason: str
    detail: str = ""

    @property
    def phrase(self) -> str:
        """The reason with what concerns this node alone, which may begin with the reason itself."""
        if self.detail.startswith(self.reason):
            return self.detail
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One scorer's part: `points` 0…100 (higher is better) times `weight`; `source` says what it was read from."""

    name: str
    points: float
    weight: float
    source: str
    unknown: bool = False
    """Nothing could be read, for the reason in `source`; `points` are those of the node's lowest known term."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A ranked node: the weighted mean of its terms, 0…100."""

    node: NodeName
    total: float
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Result of `place`: the chosen nodes, the score or the reason of each node, and the snapshot as charged."""

    wanted: int | None
    chosen: tuple[NodeName, ...]
    ranked: Sequence[Score]
    unfit: Sequence[Unfit]
    charged: Snapshot
    runner_up: NodeName | None = None
    """The node that would have been chosen next."""
    set_aside: Sequence[Unfit] = ()
    """What `--force` has set aside on the chosen nodes."""

    @property
    def fits(self) -> bool:
        """Whether enough nodes were chosen; for `wanted` None one is enough."""
        return len(self.chosen) >= (1 if self.wanted is None else self.wanted)

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        """The chosen nodes; none if they are fewer than wanted."""
        return self.chosen if self.fits else ()


# -- a sequence that is made on first use ---------------------------------------------------------

T_co = TypeVar("T_co", covariant=True)


class LazySequence(Sequence[T_co], Generic[T_co]):
    """The items of `make`, called at most once; equal to any sequence with the same items in the same order."""

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
