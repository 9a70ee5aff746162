"""Which jobs may go on elsewhere, whose turn is first, and how much of its node's load goes with each."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Lease, Measured, NodeName, Promise, Qos, Unknown
from clbalance.policy.moved import IN_VAIN
from clbalance.policy.rebalance.pool import Pool
from clbalance.policy.rebalance.values import Levels, Movable


class Turn(IntEnum):
    """Who is moved first: whoever was promised least (Kubernetes' order of eviction)."""

    BEST_EFFORT = 0
    ABOVE_REQUEST = 1
    """Burstable, and it uses more than it asked for."""
    BURSTABLE = 2
    GUARANTEED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """A job that may be moved."""

    job: Movable
    lease: Lease
    excess: float
    """What it uses above its promise, as far as its node's load shows it: it goes along."""
    turn: Turn

    @property
    def weight(self) -> float:
        """What its node is rid of."""
        return self.job.request.cpus + self.excess


def movers_of(
    pool: Pool, jobs: Sequence[Movable], levels: Levels, uid: int
) -> tuple[tuple[Mover, ...], Mapping[int, str]]:
    """Who may be moved, by job number, and by number why the others may not."""
    excess_of = {use.node: use.excess for use in pool.members}
    held = _leases(pool, jobs, uid)
    above: dict[NodeName, float] = {}
    for job in jobs:
        if job.job in held:
            above[job.node] = above.get(job.node, 0.0) + _above(job)
    movers: list[Mover] = []
    hindered: dict[int, str] = {}
    for job in jobs:
        lease = held.get(job.job)
        if why := _hindrance(job, levels):
            hindered[job.job] = why
        elif lease is None:
            hindered[job.job] = f"no lease of it was seen on {job.node}"
        else:
            # Its mean may tell of a time when it used more than now: all of them together cannot take more along.
            shown = min(1.0, excess_of[job.node] / above[job.node]) if above[job.node] else 0.0
            movers.append(Mover(job=job, lease=lease, excess=_above(job) * shown, turn=_turn(job)))
    return tuple(movers), hindered


def _hindrance(job: Movable, levels: Levels) -> str:
    if job.hindrance:
        return job.hindrance
    if job.moved_s_ago is not None and job.moved_s_ago < levels.cooldown_s:
        what = IN_VAIN if job.in_vain else "moved"
        return f"{what} {max(0.0, job.moved_s_ago):.0f} s ago, and stays for {levels.cooldown_s:g} s"
    if job.qos is Qos.GUARANTEED and not levels.guaranteed:
        return "Guaranteed, and those are not to be moved"
    return ""


def _turn(job: Movable) -> Turn:
    match job.qos:
        case Qos.BEST_EFFORT:
            return Turn.BEST_EFFORT
        case Qos.BURSTABLE:
            return Turn.ABOVE_REQUEST if _above(job) else Turn.BURSTABLE
        case Qos.GUARANTEED:
            return Turn.GUARANTEED
        case _:
            assert_never(job.qos)


def _above(job: Movable) -> float:
    return max(0.0, (job.cpus_used or 0.0) - job.request.cpus)


def _leases(pool: Pool, jobs: Sequence[Movable], uid: int) -> dict[int, Lease]:
    """By job the lease that it holds, where its node shows one; no lease is of two jobs."""
    members = {use.node for use in pool.members}
    ours: dict[NodeName, list[Lease]] = {}
    for answer in pool.snapshot.answers:
        if isinstance(answer, Measured) and answer.node in members:
            leases = answer.reading.leases
            assert not isinstance(leases, Unknown)  # a member's load is known
            ours[answer.node] = sorted([lease for lease in leases if lease.uid == uid], key=lambda one: one.key)
    held: dict[int, Lease] = {}
    for job in jobs:
        found = next((lease for lease in ours.get(job.node, ()) if _is_of(lease, job)), None)
        if found is not None:
            held[job.job] = found
            ours[job.node].remove(found)
    return held


def _is_of(lease: Lease, job: Movable) -> bool:
    promise = lease.promise
    if not isinstance(promise, Promise):
        return False
    return lease.key == job.key if job.key else (promise.name, promise.cpus) == (job.name, job.request.cpus)
