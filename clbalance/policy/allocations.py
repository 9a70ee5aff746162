"""A node's allocations, the part of them that its load shows already, and the drain mark that binds us. Pure.

    visible = Σ cpus * (1 - exp(-age/τ))      debt = Σ cpus * exp(-age/τ)      (docs/design/leases.md)

r1m is an exponential average with τ = 60 s (kernel/sched/loadavg.c). Of a job that began `age` seconds ago it shows the
visible share; the debt is the rest. Their sum is the allocation, so nothing is counted twice or left out. The age is a
difference of the node's own uptime; an unknown age is 0, as if the load showed nothing yet.
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
    """The sums of a node's allocations; `debt_…` is the part that its measured load does not show yet."""

    count: int = 0
    cpus: float = 0.0
    unreflected_cpus: float = 0.0
    mem_bytes: int = 0
    unreflected_mem_bytes: float = 0.0
    tmp_bytes: int = 0
    slots: int = 0
    gpu_shares: Mapping[str, float] = field(default_factory=dict)
    """Allocated share of each device, by UUID; 1 or more: all of it."""
    exclusive: bool = False

    @property
    def reflected_cpus(self) -> float:
        """The part of the measured run queue that comes from the allocations."""
        return self.cpus - self.unreflected_cpus

    @property
    def reflected_mem_bytes(self) -> float:
        """The part of the measured memory use that comes from the allocations."""
        return self.mem_bytes - self.unreflected_mem_bytes


EMPTY: Final = NodeAllocations()


def allocations_of(answer: Measured) -> NodeAllocations:
    """The sums over all users' readable leases and what was placed on the node since it was measured."""
    leases = answer.reading.leases
    known = () if isinstance(leases, Unknown) else leases
    if not known and not answer.placed:
        return EMPTY
    return add_up([*readable(known), *answer.placed], answer.reading.uptime_s)


def add_up(allocations: Sequence[Allocation], uptime_s: float | Unknown) -> NodeAllocations:
    """The sums of `allocations` at this uptime of the node."""
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
        gpu_shares=gpu_shares_of(allocations),
        exclusive=any(allocation.exclusive for allocation in allocations),
    )


def gpu_shares_of(allocations: Iterable[Allocation]) -> dict[str, float]:
    """The leased share of each device, by its UUID."""
    held: dict[str, float] = {}
    for allocation in allocations:
        for uuid in allocation.gpus:
            held[uuid] = held.get(uuid, 0.0) + allocation.gpu_share
    return held


def unreflected_share(age_seconds: float) -> float:
    """The share of an allocation of this age that the load does not show yet; 1 at first."""
    return math.exp(-age_seconds / TAU_S)


def age_s(allocation: Allocation, uptime_s: float | Unknown) -> float:
    """Seconds since the allocation was made; 0 if it is younger than the reading of the uptime."""
    return 0.0 if isinstance(uptime_s, Unknown) else max(0.0, uptime_s - allocation.uptime_s)


def readable(leases: Iterable[Lease]) -> Iterable[Allocation]:
    """The allocations of the leases whose content could be read."""
    return (lease.allocation for lease in leases if isinstance(lease.allocation, Allocation))


# -- drain marks: which one keeps us off a node, and its text


def binding_drain(reading: Reading, *, force: bool = False) -> DrainMark | None:
    """The mark that binds us, preferably one that binds everybody; None: we may place work there. `force`: without the
    marks that we may set aside.

    Unknown marks also give None: the leases are then unknown too, which makes the node unfit.
    """
    marks = () if isinstance(reading.drains, Unknown) else reading.drains
    binding = [mark for mark in marks if binds_us(mark, reading.uid) and not (force and _is_liftable(mark, reading))]
    return min(binding, key=lambda mark: (not mark.binds_all, mark.proposal is not None, mark.uid), default=None)


def _is_liftable(mark: DrainMark, reading: Reading) -> bool:
    """Whether `--force` sets the mark aside: our own, and any of those who may drain for everybody. As at admission."""
    return mark.uid == reading.uid or reading.may_drain_for_all is True


def drain_reason(mark: DrainMark, now: datetime) -> str:
    """Such as "disk (by alice)", "disk (by alice, until 18:00)" or "proposed: disk (by alice)".

    The end of a proposal is left out, because it is not the end of the drain. Only root's marks are trusted about the
    name; for other owners the uid is added.
    """
    what = f"proposed: {mark.reason}" if mark.proposal else mark.reason
    until = f", until {format_drain_end(mark.until, now)}" if mark.until and not mark.proposal else ""
    if mark.uid == 0:
        return f"{what} (by {mark.by or 'root'}{until})"
    return f"{what} (by {mark.by}, uid {mark.uid}{until})" if mark.by else f"{what} (by uid {mark.uid}{until})"


def format_drain_end(end: datetime, now: datetime) -> str:
    """`18:00` if today, else with the date; in local time, as `drain --until` reads it. Both times have time zones."""
    try:
        here = end.astimezone()
        return f"{here:%H:%M}" if here.date() == now.astimezone().date() else f"{here:%Y-%m-%d %H:%M}"
    except (OverflowError, OSError, ValueError):  # in the last hours of the year 9999
        return f"{end:%Y-%m-%d}"


def binds_us(mark: DrainMark, uid: int | Unknown) -> bool:
    """Whether the mark's owner may keep us off: root, an administrator, or we ourselves."""
    # If our uid is unknown, the mark may be ours.
    return mark.binds_all or isinstance(uid, Unknown) or mark.uid == uid
