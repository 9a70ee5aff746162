"""What-if: nodes as they would be after planned migrations, and a feasible order of migrations. Pure.

A node must pass the filters of `place`. It is charged with all that a job uses, not only with its request. A node that
a job leaves loses the job's lease and its share of r1m.
"""

from collections.abc import Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import Final, Self, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Lease, Measured, NodeName, Request, Snapshot, Unfit, Unknown
from clbalance.policy.allocations import age_s, unreflected_share
from clbalance.policy.placement.charge import allocation_for
from clbalance.policy.placement.filters import FilterInput, filter_input, unfit_reason
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import Policy
from clbalance.policy.rebalance.candidates import MigrationCandidate
from clbalance.policy.rebalance.levels import Pool, with_r1m_less


@dataclass(slots=True)
class _NodeCapacity:
    """A measured node, with the jobs that left it and the allocations that arrived in the plan."""

    measured: Measured
    left: tuple[MigrationCandidate, ...] = ()
    arrived: tuple[Allocation, ...] = ()
    load: NodeLoad | Unknown | None = None
    verdicts: dict[int, Unfit | None] = field(default_factory=dict)
    """By the number of the request kind."""


class _Kinds:
    """Filter input for each kind of request; many jobs share one kind."""

    def __init__(self, snapshot: Snapshot, policy: Policy, now: datetime) -> None:
        self.asked: list[FilterInput] = []
        self._snapshot, self._policy, self._now = snapshot, policy, now
        self._kinds: dict[Request, int] = {}
        self._kind_of: dict[int, int] = {}

    def kind_of(self, candidate: MigrationCandidate) -> int:
        """The number of the job's kind. A kind is a request for one copy without a job name."""
        kind = self._kind_of.get(candidate.job.job)
        if kind is None:
            request = replace(candidate.job.request, pick=1, name="")
            kind = self._kind_of[candidate.job.job] = self._kinds.setdefault(request, len(self.asked))
            if kind == len(self.asked):
                self.asked.append(filter_input(self._snapshot, request, self._policy, self._now))
        return kind


class WhatIf:
    """Measured nodes with planned migrations applied."""

    def __init__(self, measured: Sequence[Measured], kinds: _Kinds, policy: Policy) -> None:
        self._measured, self._kinds, self._policy = measured, kinds, policy
        self._what_if = {answer.node: _NodeCapacity(answer) for answer in measured}

    @classmethod
    def of(cls, pool: Pool, policy: Policy, now: datetime) -> Self:
        """The members of a pool, without migrations."""
        members = {use.node for use in pool.members}
        answers = [one for one in pool.snapshot.answers if isinstance(one, Measured) and one.node in members]
        return cls(answers, _Kinds(pool.snapshot, policy, now), policy)

    def as_measured(self) -> Self:
        """The same nodes without migrations."""
        return type(self)(self._measured, self._kinds, self._policy)

    def unfit(self, candidate: MigrationCandidate, node: NodeName) -> Unfit | None:
        """Why the job does not fit on the node now; None: it fits."""
        capacity, kind = self._what_if[node], self._kinds.kind_of(candidate)
        if kind not in capacity.verdicts:
            load = self._load(capacity)
            assert isinstance(load, NodeLoad)  # a member's load is known
            found = unfit_reason(load.answer, self._kinds.asked[kind], load)
            capacity.verdicts[kind] = found if isinstance(found, Unfit) else None
        return capacity.verdicts[kind]

    def carry(self, candidate: MigrationCandidate, dst: NodeName) -> "Carried":
        """Apply a migration: take the job off its node, and put it on `dst`."""
        src = candidate.job.node
        left, to = self._what_if[src], self._what_if[dst]
        load = self._load(to)
        assert isinstance(load, NodeLoad)  # a member's load is known
        allocation = replace(allocation_for(candidate.job.request, load.answer, self._policy), cpus=candidate.weight)
        self._what_if[src] = _NodeCapacity(left.measured, (*left.left, candidate), left.arrived)
        self._what_if[dst] = _NodeCapacity(to.measured, to.left, (*to.arrived, allocation))
        return Carried(what_if=((src, left), (dst, to)))

    def undo(self, carried: "Carried") -> None:
        """Take back the last `carry`."""
        self._what_if.update(carried.what_if)

    def _load(self, capacity: _NodeCapacity) -> NodeLoad | Unknown:
        if capacity.load is None:
            capacity.load = effective_load(_as_it_is(capacity))
        return capacity.load


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The two nodes of a migration before it, for `undo`."""

    what_if: tuple[tuple[NodeName, _NodeCapacity], ...]


def _as_it_is(capacity: _NodeCapacity) -> Measured:
    answer = capacity.measured
    if capacity.left:
        leases = answer.reading.leases
        assert not isinstance(leases, Unknown)  # a member's load is known
        gone = {id(candidate.lease) for candidate in capacity.left}
        kept = tuple([lease for lease in leases if id(lease) not in gone])
        shown = sum([_shown(candidate.lease, answer) + candidate.excess for candidate in capacity.left])
        answer = with_r1m_less(replace(answer, reading=replace(answer.reading, leases=kept)), shown)
    return replace(answer, placed=(*answer.placed, *capacity.arrived)) if capacity.arrived else answer


def _shown(lease: Lease, answer: Measured) -> float:
    """Cpus of the lease that the run queue shows."""
    allocation = lease.allocation
    assert isinstance(allocation, Allocation)  # an unreadable lease belongs to no candidate
    return allocation.cpus * (1.0 - unreflected_share(age_s(allocation, answer.reading.uptime_s)))


# -- the order of migrations: each job must find room when its turn comes

Step: TypeAlias = tuple[MigrationCandidate, NodeName]
"""A job and its target."""

_MOST_TO_TRY: Final = 8
"""Up to this many steps every order is tried if needed; more steps are taken in the given order."""


def migration_order(wanted: Sequence[Step], what_if: WhatIf) -> tuple[Step, ...] | None:
    """The first order in which each step finds room; None: none exists, or none was found."""
    if len(wanted) <= _MOST_TO_TRY:
        return _tried(tuple(wanted), what_if, set())
    waiting = list(wanted)
    ordered: list[Step] = []
    while waiting:
        step = next((one for one in waiting if what_if.unfit(*one) is None), None)
        if step is None:
            return None
        what_if.carry(*step)
        waiting.remove(step)
        ordered.append(step)
    return tuple(ordered)


def _tried(waiting: tuple[Step, ...], what_if: WhatIf, failed: set[tuple[Step, ...]]) -> tuple[Step, ...] | None:
    """Depth-first search. Free room depends only on the waiting steps, so failed combinations of them are kept."""
    if not waiting:
        return ()
    if waiting in failed:
        return None
    for at, step in enumerate(waiting):
        if what_if.unfit(*step) is None:
            carried = what_if.carry(*step)
            rest = _tried((*waiting[:at], *waiting[at + 1 :]), what_if, failed)
            what_if.undo(carried)
            if rest is not None:
                return (step, *rest)
    failed.add(waiting)
    return None
