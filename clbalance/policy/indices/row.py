"""The columns of the table of load indices. The table itself is `policy/indices/table.py`."""

from collections.abc import Callable
from enum import Enum, unique
from typing import Protocol, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, Unknown
from clbalance.policy.allocations import NodeAllocations, allocations_of


@unique
class Unit(Enum):
    """The unit of an index, with formats and factors."""

    PROCESSES = ("processes", "{:g}", "{:.4g}", 1, 1)
    PER_CPU = ("processes per cpu", "{:.2f}", "{:.4g} per cpu", 1, 1)
    COUNT = ("", "{:g}", "{:.4g}", 1, 1)
    PERCENT = ("per cent", "{:g}%", "{:.4g}%", 1, 0.01)
    BYTES = ("bytes", "{:g} bytes", "{:.4g} bytes", 1, 1)
    KIB_PER_S = ("KiB/s", "{:.12g} KiB/s", "{:.0f} KiB/s", 1024, 1024)

    def __init__(self, words: str, limit: str, value: str, json: int, metric: float) -> None:
        self.words = words
        """The unit in a sentence; empty: no unit."""
        self.limit_form = limit
        """Format of a threshold in a reason."""
        self.value_form = value
        """Format of a value past a threshold."""
        self.json = json
        """Factor to the base unit that JSON and plain output use."""
        self.metric = metric
        """Factor to the unit that Prometheus output uses, where ratios go from 0 to 1."""


class Node(Protocol):
    """A node that answered, with its allocations: an `AnsweredNode`, a `NodeLoad`, or an expression's `Subject`."""

    @property
    def answer(self) -> Measured: ...

    @property
    def allocations(self) -> NodeAllocations: ...


@dataclass(frozen=True, slots=True)
class AnsweredNode:
    """An answer with its allocations, computed once to read several indices of one node."""

    answer: Measured
    allocations: NodeAllocations

    @classmethod
    def of(cls, answer: Measured) -> "AnsweredNode":
        """The node that gave this answer."""
        return cls(answer, allocations_of(answer))


Read: TypeAlias = Callable[[Node], float | Unknown]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The value past which a node takes no more jobs; of the `share` if the index has one."""

    key: str
    """Its key in `[thresholds]` of clbalance.toml, with the unit."""
    words: str
    """The name of the index in a reason, such as "load" in `load above 1.00`."""
    default: float | None = None
    is_floor: bool = False
    """Whether the threshold is a minimum instead of a maximum."""
    most: float = 100
    """The largest value that the settings accept."""
    reported_as: str = ""
    """The index name to report as violated, if another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of `load`. Indices with the same heading share a column, joined by a slash."""

    heading: str
    sacrifice: int = 0
    """0: always shown; otherwise columns with the highest number are dropped first if the terminal is too narrow."""
    form: str = ""
    """Format for `str.format`; empty: that of the unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How history keeps an index; the `share` if the index has one."""

    key: str
    """Key in JSON and column of the database, with the unit."""
    per_cpu: Read | None = None
    """Reader of the value to keep instead, so that nodes with few and with many cpus are drawn alike."""
    in_trends: bool = False
    """Whether every answer gets the mean and deviation of the last day, for policies that weigh them."""
    in_forecasts: bool = False
    """Whether it is forecast (docs/design/forecast.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of history, of nodes or of their GPUs; `name` is the name that users type."""

    name: str
    key: str
    unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A Prometheus gauge `clbalance_node_…`; indices with the same name differ in a label."""

    name: str
    help: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One row: a load index, with where it appears. None or empty: it does not appear there."""

    name: str
    """LSF's name, if there is one."""
    unit: Unit
    read: Read
    in_expressions: bool = True
    """Whether `--where` and `--order` know this name."""
    effective: Read | None = None
    """Reader with recent placements included, for expressions; None: the same as `read`."""
    whole: Read | None = None
    """Reader of the value that is 100 % in expressions."""
    share: Read | None = None
    """Reader of the percentage that thresholds and history use instead of the index."""
    json: str = ""
    """Key in JSON, with the unit."""
    column: Column | None = None
    threshold: Threshold | None = None
    history: History | None = None
    metric: Metric | None = None

    @property
    def level(self) -> Read:
        """The reader that thresholds and history use."""
        return self.share or self.read

    @property
    def level_unit(self) -> Unit:
        """The unit of `level`."""
        return Unit.PERCENT if self.share else self.unit

    @property
    def kept(self) -> Read:
        """The reader of the value that history keeps."""
        return (self.history and self.history.per_cpu) or self.level

    @property
    def series(self) -> Series:
        """The series of this index."""
        assert self.history is not None
        unit = Unit.PER_CPU if self.history.per_cpu else self.level_unit
        return Series(name=self.name, key=self.history.key, unit=unit)

    @property
    def violated(self) -> str:
        """The name to report if it is past its threshold."""
        return (self.threshold and self.threshold.reported_as) or self.name
