"""Progress of drains, evictions of jobs, and the check of `--min-available`. Pure."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias, assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Lease, Measured, NodeName, Proposal, Silent, Snapshot, Unknown
from clbalance.model.job import Submitted
from clbalance.policy.allocations import binding_drain, binds_us, drain_reason
from clbalance.policy.jobs.record import is_migratable
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng
from clbalance.policy.slurm.nodes import why_no_jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainProgress:
    """What is left on one node. `reason`: why that is unknown, or empty. `resumed`: no drain mark binds us any more."""

    node: NodeName
    own: tuple[Lease, ...] = ()
    """Leases of the user that the probe ran as, from any submit host."""
    others: tuple[Lease, ...] = ()
    reason: str = ""
    resumed: bool = False

    @property
    def is_drained(self) -> bool:
        """Whether no lease is left there and new work is kept off."""
        return not (self.own or self.others or self.reason or self.resumed)


def drain_progress(answer: Answer) -> DrainProgress:
    """The progress by a node's answer. What runs on a silent node is unknown."""
    match answer:
        case Silent(node=node, cause=cause, reason=reason):
            return DrainProgress(node=node, reason=cause.because(reason))
        case Measured(node=node, reading=reading):
            if isinstance(reading.leases, Unknown):
                return DrainProgress(node=node, reason=f"leases unknown: {reading.leases.reason}")
            return DrainProgress(
                node=node,
                own=tuple(lease for lease in reading.leases if lease.uid == reading.uid),
                others=tuple(lease for lease in reading.leases if lease.uid != reading.uid),
                resumed=binding_drain(reading) is None,
            )
        case _:
            assert_never(answer)


def is_over(progress: Iterable[DrainProgress]) -> bool:
    """Whether waiting can end: each node is drained, or was resumed."""
    return all(one.is_drained or one.resumed for one in progress)


# -- evictions: targets for migratable jobs on drained nodes, as far as there is room elsewhere
#
# Input: a snapshot of the possible targets, including drain marks. Output: a target for each job that has one; together
# they fit at the same time.


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionCandidate:
    """A running job on a node that is drained."""

    job: int
    node: NodeName
    submitted: Submitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """A job to migrate, with its target."""

    job: int
    src: NodeName
    dst: NodeName


def evictions(
    snapshot: Snapshot,
    candidates: Iterable[EvictionCandidate],
    policy_of: Callable[[Submitted], Policy],
    now: datetime,
    rng: Rng,
) -> tuple[Eviction, ...]:
    """For each job, in the given order, the best fitting node among its candidates by its own policy."""
    found = []
    everywhere = frozenset(answer.node for answer in snapshot.answers)
    for candidate in candidates:
        submitted, request = candidate.submitted, candidate.submitted.request
        if not is_migratable(submitted.job, request, submitted.restart_policy):
            continue
        elsewhere = (everywhere - frozenset(submitted.candidates)) | {candidate.node}
        asked = replace(request, excluded=request.excluded | elsewhere)
        plan = place(snapshot, asked, policy_of(submitted), now, rng)
        if plan.fits:
            found.append(Eviction(job=candidate.job, src=candidate.node, dst=plan.chosen[0]))
            snapshot = plan.charged
    return tuple(found)


# -- whether enough nodes are left: `drain --min-available` (docs/design/drain.md)
#
# Input: a sweep of the pool, made after our own proposal was on all its nodes. Output: the proposal becomes firm, is
# withdrawn, or waits for other proposals.
#
# Consider the drain that finished proposing last: its sweep started later, so it saw every other proposal that became
# firm. It counts them all, so enough nodes are left after the last drain. Of drains that see each other, the first in
# the order of proposals never withdraws because of another proposal, so not all of them withdraw.


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAvailability:
    """One node of the pool; `unavailable`: why it is not available even if its proposals are withdrawn, or empty."""

    node: NodeName
    unavailable: str = ""
    is_drained: bool = False
    """Whether it has a firm drain mark; draining it again takes nothing away."""
    proposals: tuple[Proposal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AboveMinAvailable:
    """Enough nodes are left (`left`) even if every other proposal becomes firm, or the drain takes nothing away."""

    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """Depends on proposals after ours: they withdraw when they see ours, unless their sweep was before it."""

    nodes: tuple[NodeName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BelowMinAvailable:
    """Only `left` nodes would be left; `unavailable`: the reasons of the other unavailable nodes."""

    left: int
    unavailable: Mapping[NodeName, str]


Verdict: TypeAlias = AboveMinAvailable | Undecided | BelowMinAvailable


def availability_of(answer: Answer, now: datetime) -> NodeAvailability:
    """Busy nodes are available; drained, suspect and unknown nodes, and those that Slurm gives no jobs, are not."""
    match answer:
        case Silent(node=node, cause=cause, reason=reason):
            return NodeAvailability(node=node, unavailable=f"unknown: {cause.because(reason)}")
        case Measured(node=node, reading=reading, suspect=suspect, slurm=slurm):
            if isinstance(reading.drains, Unknown):
                return NodeAvailability(node=node, unavailable=f"drain marks unknown: {reading.drains.reason}")
            proposed = [mark for mark in reading.drains if mark.proposal and binds_us(mark, reading.uid)]
            mark = binding_drain(reading)
            firmly = f"drained: {drain_reason(mark, now)}" if mark is not None and mark.proposal is None else ""
            in_slurm = why_no_jobs(slurm)
            return NodeAvailability(
                node=node,
                unavailable=firmly or (in_slurm and f"Slurm: {in_slurm}") or (suspect and f"suspect: {suspect}"),
                is_drained=bool(firmly),
                proposals=tuple(mark.proposal for mark in proposed if mark.proposal),
            )
        case _:
            assert_never(answer)


def decide_drain(
    pool: Sequence[NodeAvailability], wanted: Collection[NodeName], min_available: int, mine: Proposal
) -> Verdict:
    """Whether `min_available` nodes of the pool are left when `wanted` are drained too.

    If all of `wanted` are drained already, the drain takes nothing away and passes, however few nodes are left.
    """
    out = {one.node: one.unavailable for one in pool if one.unavailable and one.node not in wanted}
    earlier = {one.node: "proposed before" for one in pool if _others(one, mine, before=True)}
    later = [one.node for one in pool if _others(one, mine, before=False)]
    here = {one.node for one in pool}
    surely = (here & set(wanted)) | out.keys() | earlier.keys()
    at_least = len(here) - len(surely | set(later))
    ours = [one for one in pool if one.node in wanted]
    if ours and all(one.is_drained for one in ours):
        return AboveMinAvailable(left=at_least)
    left = len(here) - len(surely)
    if left < min_available:
        return BelowMinAvailable(
            left=left, unavailable={node: reason for node, reason in (earlier | out).items() if node not in wanted}
        )
    return Undecided(nodes=tuple(later)) if at_least < min_available else AboveMinAvailable(left=at_least)


def min_available_of(number: float, *, is_pct: bool, pool: int) -> int:
    """The number of nodes for `--min-available`; a percentage is rounded up, as in Kubernetes' `minAvailable`."""
    return math.ceil(number * pool / 100.0) if is_pct else int(number)


def _others(standing: NodeAvailability, mine: Proposal, *, before: bool) -> bool:
    return any(one.key != mine.key and one.came_before(mine) is before for one in standing.proposals)
