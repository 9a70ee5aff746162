"""Where jobs go whose nodes are drained: those that their owner has marked, as far as there is room elsewhere. Pure.

Enters: a snapshot of where they may go, with the drain marks in it. Leaves: a target for each that has one, all of
which hold at once.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from clbalance.job import Submitted
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Snapshot
from clbalance.policy.may_move import may_be_moved
from clbalance.policy.place import place
from clbalance.policy.policies import Policy
from clbalance.policy.select import Rng


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A job that runs on a node that is drained."""

    job: int
    node: NodeName
    submitted: Submitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Evacuation:
    """A job that is to go on elsewhere."""

    job: int
    src: NodeName
    dst: NodeName


def evacuations(
    snapshot: Snapshot, stays: Iterable[Stay], policy_of: Callable[[Submitted], Policy], now: datetime, rng: Rng
) -> tuple[Evacuation, ...]:
    """Each to the best node, by its own policy, that it was submitted for and that takes it; the first asked first."""
    found = []
    everywhere = frozenset(answer.node for answer in snapshot.answers)
    for stay in stays:
        submitted, request = stay.submitted, stay.submitted.request
        if not may_be_moved(submitted.job, request, submitted.tries):
            continue
        elsewhere = (everywhere - frozenset(submitted.candidates)) | {stay.node}
        asked = replace(request, excluded=request.excluded | elsewhere)
        plan = place(snapshot, asked, policy_of(submitted), now, rng)
        if plan.fits:
            found.append(Evacuation(job=stay.job, src=stay.node, dst=plan.chosen[0]))
            snapshot = plan.charged
    return tuple(found)
