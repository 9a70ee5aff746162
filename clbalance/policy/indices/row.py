"""What a row of the table of load indices may say. The table itself is `policy/indices/table.py`."""

from collections.abc import Callable
from enum import Enum, unique
from typing import Protocol, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, Unknown
from clbalance.policy.allocations import NodeAllocations, allocations_of


@unique
class Unit(Enum):
    """What an index is counted in, and what follows from that."""

    PROCESSES = ("processes", "{:g}", "{:.4g}", 1, 1)
    PER_CPU = ("processes per cpu", "{:.2f}", "{:.4g} per cpu", 1, 1)
    COUNT = ("", "{:g}", "{:.4g}", 1, 1)
    PERCENT = ("per cent", "{:g}%", "{:.4g}%", 1, 0.01)
    BYTES = ("bytes", "{:g} bytes", "{:.4g} bytes", 1, 1)
    KIB_PER_S = ("KiB/s", "{:.12g} KiB/s", "{:.0f} KiB/s", 1024, 1024)

    def __init__(self, words: str, limit: str, value: str, json: int, metric: float) -> None:
        self.words = words
        """In a sentence; empty: it has none."""
        self.limit_form = limit
        """How a threshold is written in a reason."""
        self.value_form = value
        """How a value past it is written."""
        self.json = json
        """JSON and plain output count in base units: one of these is so many of them."""
        self.metric = metric
        """Likewise Prometheus, where ratios go from 0 to 1."""


class Node(Protocol):
    """A node that answered, with what is promised of it: an `AnsweredNode`, a `Load`, an expression's `Subject`."""

    @property
    def answer(self) -> Measured: ...

    @property
    def allocations(self) -> NodeAllocations: ...


@dataclass(frozen=True, slots=True)
class AnsweredNode:
    """An answer and the sums of its promises, for who reads several indices of one node."""

    answer: Measured
    allocations: NodeAllocations

    @classmethod
    def of(cls, answer: Measured) -> "AnsweredNode":
        """The node that gave this answer."""
        return cls(answer, allocations_of(answer))


Read: TypeAlias = Callable[[Node], float | Unknown]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Past which value a node takes no more work. Of an index with a `share` it is a threshold of that."""

    key: str
    """Under `[thresholds]` in clbalance.toml, with its unit."""
    words: str
    """The index in a sentence: `load above 1.00`."""
    default: float | None = None
    is_floor: bool = False
    """The node takes no more work below it, not above it."""
    most: float = 100
    """The largest that the settings take."""
    reported_as: str = ""
    """The index that is named as violated, where that is not this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One of `load`. Indices with the same heading share a column, joined by a slash."""

    heading: str
    sacrifice: int = 0
    """0: always shown; otherwise the highest gives way first where there is too little room."""
    form: str = ""
    """As of `str.format`; empty: as the unit has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How an index is kept over time. Of one with a `share` that is kept."""

    key: str
    """With its unit: in JSON, and as the column of the database."""
    per_cpu: Read | None = None
    """Kept in place of the index: nodes with few cpus and with many are then drawn alike."""
    in_trends: bool = False
    """Mean and deviation of the last day go with every answer, for policies that weigh them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What history keeps of nodes, or of each of their GPUs, under one key; `name` is what people type."""

    name: str
    key: str
    unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A gauge `clbalance_node_…` of Prometheus; indices of the same name are told apart by a label."""

    name: str
    help: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One row: a number that a node has at any time. What is None or empty: it does not appear there."""

    name: str
    """LSF's, where there is one."""
    unit: Unit
    read: Read
    in_expressions: bool = True
    """Whether `--where` and `--order` know it, by its name."""
    effective: Read | None = None
    """With what was placed a moment ago, which expressions count; None: that makes no difference."""
    whole: Read | None = None
    """What a percentage of it is taken from in expressions."""
    share: Read | None = None
    """The percentage that thresholds and history look at, in place of the index itself."""
    json: str = ""
    """Its key, with its unit."""
    column: Column | None = None
    threshold: Threshold | None = None
    history: History | None = None
    metric: Metric | None = None

    @property
    def level(self) -> Read:
        """What thresholds and history look at."""
        return self.share or self.read

    @property
    def level_unit(self) -> Unit:
        """What it is counted in."""
        return Unit.PERCENT if self.share else self.unit

    @property
    def kept(self) -> Read:
        """What history keeps of a look."""
        return (self.history and self.history.per_cpu) or self.level

    @property
    def series(self) -> Series:
        """How history calls it."""
        assert self.history is not None
        unit = Unit.PER_CPU if self.history.per_cpu else self.level_unit
        return Series(name=self.name, key=self.history.key, unit=unit)

    @property
    def violated(self) -> str:
        """How it is called where it is past its threshold."""
        return (self.threshold and self.threshold.reported_as) or self.name
