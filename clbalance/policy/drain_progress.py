"""How far nodes are from being drained, where their jobs may go, and whether enough nodes are left. Pure."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias, assert_never

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, DrainMark, Lease, Measured, NodeName, Proposal, Silent, Snapshot, Unknown
from clbalance.model.job import Submitted
from clbalance.policy.allocations import binding_drain, binds_us, drain_reason
from clbalance.policy.jobs.record import is_migratable
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainProgress:
    """What is left on one node; `reason` says why that is not known, `resumed` that nothing keeps new work off it."""

    node: NodeName
    own: tuple[Lease, ...] = ()
    """Of the user whom the probe ran as, wherever they were submitted."""
    others: tuple[Lease, ...] = ()
    reason: str = ""
    resumed: bool = False

    @property
    def is_drained(self) -> bool:
        """Whether nothing runs there, as far as anyone has said, and nothing new will."""
        return not (self.own or self.others or self.reason or self.resumed)


def drain_progress(answer: Answer, now: datetime) -> DrainProgress:
    """What its answer says of it. A silent node may hold anything."""
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
                resumed=binding_drain(reading, now) is None,
            )
        case _:
            assert_never(answer)


def is_over(progress: Iterable[DrainProgress]) -> bool:
    """Whether waiting changes nothing more: each is drained, or was put back into placement."""
    return all(one.is_drained or one.resumed for one in progress)


# Where jobs go whose nodes are drained: those that their owner has marked, as far as there is room elsewhere. Pure.
#
# Enters: a snapshot of where they may go, with the drain marks in it. Leaves: a target for each that has one, all of
# which hold at once.


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionCandidate:
    """A job that runs on a node that is drained."""

    job: int
    node: NodeName
    submitted: Submitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """A job that is to go on elsewhere."""

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
    """Each to the best node, by its own policy, that it was submitted for and that takes it; the first asked first."""
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


# Whether nodes may be drained without leaving too few: `drain --min-available` (docs/design/drain.md). Pure.
#
# Enters: what a sweep of the pool has told after our own proposal lay on all its nodes. Leaves: whether it becomes
# firm,
# is withdrawn, or waits for what becomes of others.
#
# Who has written his proposal last has looked last, and has seen those of all others that became firm. He counts them
# all, so the last to pass leaves enough; and of those that see each other the first in the order of proposals is never
# withdrawn for another proposal's sake, so they do not all withdraw.

CLOCKS_APART: Final = timedelta(seconds=60)
"""A proposal counts here for longer than it says: its node's clock may be behind ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAvailability:
    """How one node of the pool stands: `out` says why it is not available, whatever becomes of the proposals on it."""

    node: NodeName
    unavailable: str = ""
    is_drained: bool = False
    """Firmly: to drain it again takes nothing away."""
    proposals: tuple[Proposal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AboveMinAvailable:
    """So many nodes are left, even if every other proposal becomes firm; or the drain takes nothing away."""

    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """It depends on proposals that come after ours: they withdraw when they see it, or have looked before it was."""

    nodes: tuple[NodeName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BelowMinAvailable:
    """Only so many would be left; `out` says what else is not available, and why."""

    left: int
    unavailable: Mapping[NodeName, str]


Verdict: TypeAlias = AboveMinAvailable | Undecided | BelowMinAvailable


def availability_of(answer: Answer, now: datetime) -> NodeAvailability:
    """Busy nodes are there; drained, suspect and unknown ones are not."""
    match answer:
        case Silent(node=node, cause=cause, reason=reason):
            return NodeAvailability(node=node, unavailable=f"unknown: {cause.because(reason)}")
        case Measured(node=node, reading=reading, suspect=suspect):
            if isinstance(reading.drains, Unknown):
                return NodeAvailability(node=node, unavailable=f"drain marks unknown: {reading.drains.reason}")
            proposed = [mark for mark in reading.drains if mark.proposal and binds_us(mark, reading.uid)]
            mark = binding_drain(reading, now)
            firmly = f"drained: {drain_reason(mark, now)}" if mark is not None and mark.proposal is None else ""
            return NodeAvailability(
                node=node,
                unavailable=firmly or (suspect and f"suspect: {suspect}"),
                is_drained=bool(firmly),
                proposals=tuple(mark.proposal for mark in proposed if mark.proposal and not _is_long_over(mark, now)),
            )
        case _:
            assert_never(answer)


def decide_drain(
    pool: Sequence[NodeAvailability], wanted: Collection[NodeName], min_available: int, mine: Proposal
) -> Verdict:
    """Whether `min_available` nodes of the pool are left when `wanted` are drained too.

    Where all of those were drained before, nothing is taken away: that is enough, however few are left.
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
    """So many nodes of a pool of that size; of a share at least as much, as Kubernetes' `minAvailable`."""
    return math.ceil(number * pool / 100.0) if is_pct else int(number)


def _others(standing: NodeAvailability, mine: Proposal, *, before: bool) -> bool:
    return any(one.key != mine.key and one.came_before(mine) is before for one in standing.proposals)


def _is_long_over(mark: DrainMark, now: datetime) -> bool:
    return mark.until is not None and mark.until + CLOCKS_APART <= now
