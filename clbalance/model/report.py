"""A report on a period (docs/design/report.md). Frozen values; amounts are in seconds: of cpus, of GPUs, of nodes.

A figure that is not known is None, or a `Part` that is not `known`: never a zero.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model.reading import NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From `since` until before `until`."""

    since: datetime
    until: datetime

    @property
    def since_s(self) -> float:
        """Seconds since 1970."""
        return self.since.timestamp()

    @property
    def until_s(self) -> float:
        """Seconds since 1970."""
        return self.until.timestamp()

    @property
    def seconds(self) -> float:
        """Its length."""
        return max(0.0, self.until_s - self.since_s)


@dataclass(frozen=True, slots=True)
class Part:
    """An amount, and what it is a part of, in the same unit. Not `known`: nothing of it was measured."""

    amount: float = 0.0
    whole: float = 0.0
    known: bool = False

    def __add__(self, other: "Part") -> "Part":
        return Part(self.amount + other.amount, self.whole + other.whole, self.known or other.known)

    @property
    def value(self) -> float | None:
        """The amount, if it is known."""
        return self.amount if self.known else None

    @property
    def pct(self) -> float | None:
        """The share in per cent; None also if the whole is nothing."""
        return 100.0 * self.amount / self.whole if self.known and self.whole > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What hours have cost. `amount` None: none of them has a price."""

    amount: float | None = None
    unpriced_cpu_s: float = 0.0
    unpriced_gpu_s: float = 0.0

    @property
    def value(self) -> float | None:
        """The amount; None if all that was held has no price: that is not 0."""
        return self.amount if self.amount or not (self.unpriced_cpu_s or self.unpriced_gpu_s) else None

    def __add__(self, other: "Cost") -> "Cost":
        known = [one for one in (self.amount, other.amount) if one is not None]
        return Cost(
            amount=sum(known) if known else None,
            unpriced_cpu_s=self.unpriced_cpu_s + other.unpriced_cpu_s,
            unpriced_gpu_s=self.unpriced_gpu_s + other.unpriced_gpu_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesUse:
    """A node or several in a period."""

    nodes: int = 0
    cpus: float | None = None
    """None: not known, as of a node that never answered."""
    gpus: float | None = None
    seen: Part = Part()
    available: Part = Part()
    cpu_allocated: Part = Part()
    cpu_used: Part = Part()
    gpu_allocated: Part = Part()
    gpu_used: Part = Part()
    gpu_idle: Part = Part()
    """Of the leased GPUs whose use was known, those that were idle."""
    cost: Cost = Cost()

    def __add__(self, other: "NodesUse") -> "NodesUse":
        return NodesUse(
            nodes=self.nodes + other.nodes,
            cpus=_sum(self.cpus, other.cpus),
            gpus=_sum(self.gpus, other.gpus),
            seen=self.seen + other.seen,
            available=self.available + other.available,
            cpu_allocated=self.cpu_allocated + other.cpu_allocated,
            cpu_used=self.cpu_used + other.cpu_used,
            gpu_allocated=self.gpu_allocated + other.gpu_allocated,
            gpu_used=self.gpu_used + other.gpu_used,
            gpu_idle=self.gpu_idle + other.gpu_idle,
            cost=self.cost + other.cost,
        )


def _sum(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupUse:
    """The nodes of a group. `by_time`: the share of cpus and of GPUs in use, in columns of equal time, in per cent."""

    name: str
    use: NodesUse
    cpu_by_time: tuple[float | None, ...] = ()
    gpu_by_time: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a job has held on one node."""

    node: NodeName
    cpu_s: float = 0.0
    gpu_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUse:
    """A job in a period, of this host or by its leases alone."""

    label: str
    """What other verbs take for it."""
    name: str
    user: str
    held: tuple[Held, ...] = ()
    cpu_used: Part = Part()
    """Cpu time, of the allocated time of the copies that it is known of."""
    gpu_used: Part = Part()
    gpu_idle: Part = Part()

    @property
    def cpu_s(self) -> float:
        """Cpu-seconds allocated."""
        return sum(one.cpu_s for one in self.held)

    @property
    def gpu_s(self) -> float:
        """GPU-seconds allocated."""
        return sum(one.gpu_s for one in self.held)

    @property
    def wasted_cpu_s(self) -> float:
        """Cpu-seconds that were allocated and, as far as is known, not used."""
        return max(0.0, self.cpu_used.whole - self.cpu_used.amount) if self.cpu_used.known else 0.0

    @property
    def wasted_gpu_s(self) -> float:
        """GPU-seconds that were allocated and idle, as far as is known."""
        return self.gpu_idle.value or 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUse:
    """The jobs of one user in a period."""

    user: str
    jobs: int = 0
    cpu_s: float = 0.0
    gpu_s: float = 0.0
    cpu_used: Part = Part()
    gpu_used: Part = Part()
    gpu_idle: Part = Part()
    cost: Cost = Cost()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitTimes:
    """How long jobs waited that started in the period.

    `counts`: how many were below each of the bounds of `policy.report.jobs.WAIT_BOUNDS_S`, and above all of them.
    """

    jobs: int = 0
    p50_s: float | None = None
    p95_s: float | None = None
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRow:
    """The load per cpu of some nodes in columns of equal time; None: not seen."""

    name: str
    cells: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodReport:
    """All that a report says of one period."""

    period: Period
    total: NodesUse = NodesUse()
    groups: tuple[GroupUse, ...] = ()
    users: tuple[UserUse, ...] = ()
    """Those who have held most, first."""
    more_users: int = 0
    ended: Mapping[str, int] = field(default_factory=dict)
    """Jobs of this host that ended in the period, by state."""
    active: Mapping[str, int] = field(default_factory=dict)
    """Those that are recorded as pending or running now."""
    restarts: int = 0
    waits: WaitTimes = WaitTimes()
    wasters: tuple[JobUse, ...] = ()
    """The worst first."""
    load: tuple[LoadRow, ...] = ()
    cpu_by_time: tuple[float | None, ...] = ()
    """Of all nodes, as of a group."""
    gpu_by_time: tuple[float | None, ...] = ()
    currency: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was recorded in this period."""
        return not self.total.seen.amount and not self.users and not self.ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure before and after. `unit`: `pct`, `s`, `hours`, `money` or `count`."""

    name: str
    unit: str
    before: float | None
    after: float | None

    @property
    def change(self) -> float | None:
        """By how much it is larger after."""
        return None if self.before is None or self.after is None else self.after - self.before
