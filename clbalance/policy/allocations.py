"""What is promised of a node, how much of that its load shows already, and which drain mark keeps work off it.

    visible = Σ cpus * (1 - exp(-age/τ))      debt = Σ cpus * exp(-age/τ)      (docs/design/leases.md)

r1m is an exponential average with τ = 60 s (kernel/sched/loadavg.c): of a job that began `age` seconds ago it holds
the first share, and the debt is the rest. Both together are the promise, so nothing counts twice and nothing not at
all. The age is a difference of the node's own uptime; one that cannot be told is 0, as if nothing showed yet.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, DrainMark, Lease, Measured, Reading, Unknown

TAU_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAllocations:
    """All promises of one node added up; `debt_…` is the part that its measured load does not show yet."""

    count: int = 0
    cpus: float = 0.0
    unreflected_cpus: float = 0.0
    mem_bytes: int = 0
    unreflected_mem_bytes: float = 0.0
    tmp_bytes: int = 0
    slots: int = 0
    gpu_shares: Mapping[str, float] = field(default_factory=dict)
    """How much of each device, by UUID; 1 or more: all of it."""
    exclusive: bool = False

    @property
    def reflected_cpus(self) -> float:
        """What of the measured run queue is the promises' own."""
        return self.cpus - self.unreflected_cpus

    @property
    def reflected_mem_bytes(self) -> float:
        """What of the measured use of memory is the promises' own."""
        return self.mem_bytes - self.unreflected_mem_bytes


EMPTY: Final = NodeAllocations()


def allocations_of(answer: Measured) -> NodeAllocations:
    """Everybody's leases that can be read, and what was placed on the node since it was measured."""
    leases = answer.reading.leases
    known = () if isinstance(leases, Unknown) else leases
    if not known and not answer.placed:
        return EMPTY
    return add_up([*_readable(known), *answer.placed], answer.reading.uptime_s)


def add_up(allocations: Sequence[Allocation], uptime_s: float | Unknown) -> NodeAllocations:
    """The sums, at this uptime of the node."""
    debt_cpus = debt_mem_bytes = 0.0
    for allocation in allocations:
        share = unreflected_share(age_s(allocation, uptime_s))
        debt_cpus += allocation.cpus * share
        debt_mem_bytes += allocation.mem_bytes * share
    return NodeAllocations(
        count=len(allocations),
        cpus=sum([allocation.cpus for allocation in allocations]),
        unreflected_cpus=debt_cpus,
        mem_bytes=sum([allocation.mem_bytes for allocation in allocations]),
        unreflected_mem_bytes=debt_mem_bytes,
        tmp_bytes=sum([allocation.tmp_bytes for allocation in allocations]),
        slots=sum([allocation.slots for allocation in allocations]),
        gpu_shares=_gpu_shares(allocations),
        exclusive=any(allocation.exclusive for allocation in allocations),
    )


def _gpu_shares(allocations: Sequence[Allocation]) -> dict[str, float]:
    held: dict[str, float] = {}
    for allocation in allocations:
        for uuid in allocation.gpus:
            held[uuid] = held.get(uuid, 0.0) + allocation.gpu_share
    return held


def unreflected_share(age_seconds: float) -> float:
    """Which share of a promise of this age the load does not show yet, 1 at first."""
    return math.exp(-age_seconds / TAU_S)


def age_s(allocation: Allocation, uptime_s: float | Unknown) -> float:
    """How long ago it was made: never negative, for it may be younger than the reading of the uptime."""
    return 0.0 if isinstance(uptime_s, Unknown) else max(0.0, uptime_s - allocation.uptime_s)


def _readable(leases: Iterable[Lease]) -> Iterable[Allocation]:
    return (lease.allocation for lease in leases if isinstance(lease.allocation, Allocation))


# Which drain mark keeps us off a node, and how it is told.


def binding_drain(reading: Reading, now: datetime) -> DrainMark | None:
    """The mark that binds us now, before all one that binds everybody; None: we may place work there.

    Marks that could not be read are no answer here: then leases are unknown too, and the node is unfit for that.
    """
    marks = () if isinstance(reading.drains, Unknown) else reading.drains
    binding = [mark for mark in marks if binds_us(mark, reading.uid) and not _is_over(mark, now)]
    return min(binding, key=lambda mark: (not mark.binds_all, mark.proposal is not None, mark.uid), default=None)


def drain_reason(mark: DrainMark, now: datetime) -> str:
    """Such as "disk (by alice)", "disk (by alice, until 18:00)" or "proposed: disk (by alice)".

    A proposal's end says nothing of how long the node is to be drained. Only root's file is believed about a name;
    other owners are told by number.
    """
    what = f"proposed: {mark.reason}" if mark.proposal else mark.reason
    until = f", until {format_drain_end(mark.until, now)}" if mark.until and not mark.proposal else ""
    if mark.uid == 0:
        return f"{what} (by {mark.by or 'root'}{until})"
    return f"{what} (by {mark.by}, uid {mark.uid}{until})" if mark.by else f"{what} (by uid {mark.uid}{until})"


def format_drain_end(end: datetime, now: datetime) -> str:
    """`18:00` of today, else with its date: by the clock on our wall, as `drain --until` reads it. Both are aware."""
    try:
        here = end.astimezone()
        return f"{here:%H:%M}" if here.date() == now.astimezone().date() else f"{here:%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):  # in the last hours of the year 9999
        return f"{end:%Y-%m-%d}"


def binds_us(mark: DrainMark, uid: int | Unknown) -> bool:
    """Whether its owner may keep us off: root, an administrator, and we ourselves."""
    # Where we do not know who we are, the mark may be ours.
    return mark.binds_all or isinstance(uid, Unknown) or mark.uid == uid


def _is_over(mark: DrainMark, now: datetime) -> bool:
    return mark.until is not None and mark.until <= now
