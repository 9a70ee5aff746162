"""The nodes of a cluster under many placements, one after another; each as `place` would decide on a charged snapshot.

The total score of a request kind on a node changes only if something is placed there or released. So each kind keeps
its totals, and updates those of the nodes that changed since its last use. Most nodes go from one state to another
and back, so the previous state and its totals are kept too.
"""

from copy import copy as shallow_copy
from dataclasses import field, replace
from datetime import datetime
from itertools import islice
from typing import Final, Self

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Answer, Measured, NodeName, Reading, Request, Snapshot, Unknown
from clbalance.policy.placement.charge import allocation_for
from clbalance.policy.placement.filters import FilterInput, filter_input, unfit_reason
from clbalance.policy.placement.gpu_rank import any_has_gpus, head_start
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import Policy, Rule
from clbalance.policy.placement.score import Weighed, scorers_of, total
from clbalance.policy.placement.select import Rng, best_place, in_order

_UNFIT: Final = -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAllocations:
    """The allocations of one request, one on each of its nodes."""

    allocations: tuple[tuple[NodeName, Allocation], ...]

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        """The nodes, in the order of the choice."""
        return tuple(node for node, _ in self.allocations)


@dataclass(slots=True)
class _RequestKind:
    """One kind of request: its total on each node as of change number `seen`, and how many nodes it fits on."""

    asked: FilterInput
    weighed: Weighed
    totals: list[float] = field(default_factory=list)
    totals_of: list[Answer] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    before_of: list[Answer] = field(default_factory=list)
    fitting: int = 0
    seen: int = 0

    def copy(self, *, seen: int) -> "_RequestKind":
        """A copy, as of change number `seen`."""
        return replace(
            self,
            totals=self.totals.copy(),
            totals_of=self.totals_of.copy(),
            before=self.before.copy(),
            before_of=self.before_of.copy(),
            seen=seen,
        )


class ClusterState:
    """The nodes of a snapshot; `place` charges them and `release` takes the charge back.

    `--order` and `--same` compare nodes with each other, so they are not supported here.
    """

    def __init__(self, snapshot: Snapshot, policy: Policy, now: datetime) -> None:
        self._answers = sorted(snapshot.answers, key=lambda answer: answer.node)
        self._before = self._answers.copy()
        self._names = [answer.node for answer in self._answers]
        self._place_of = {answer.node: at for at, answer in enumerate(self._answers)}
        self._snapshot, self._policy, self._now = snapshot, policy, now
        self._loads: list[NodeLoad | Unknown | None] = [None] * len(self._answers)
        self._kinds: dict[Request, _RequestKind] = {}
        self._among_gpus = any_has_gpus(self._answers)
        self._touched: list[int] = []
        self._last = snapshot.last_used

    def place(self, request: Request, rng: Rng) -> JobAllocations | None:
        """Place and charge all copies of `request`; None: they do not all fit, and nothing is charged."""
        kind = self._kind(request)
        if kind.fitting < (1 if request.pick is None else request.pick):
            return None
        totals, rule = kind.totals, self._policy.rule
        if request.pick == 1 and rule is Rule.BEST:
            chosen = best_place(totals, _UNFIT, rng)
        else:
            order = in_order(rule, totals, self._names, lambda at: totals[at] > _UNFIT, rng, self._last)
            chosen = list(islice(order, request.pick))
        self._last = self._names[chosen[-1]]
        return JobAllocations(allocations=tuple((self._answers[at].node, self._charge(at, request)) for at in chosen))

    def count_fitting(self, request: Request) -> int:
        """Number of nodes on which a copy of `request` fits now."""
        return self._kind(request).fitting

    def copy(self) -> Self:
        """An independent copy with the same charges."""
        other = shallow_copy(self)
        other._become_separate()  # noqa: SLF001 - it is one of us
        return other

    def hold(self, holding: JobAllocations) -> None:
        """Charge these allocations, which `place` made before."""
        for node, allocation in holding.allocations:
            at = self._place_of[node]
            answer = self._measured(at)
            self._change(at, answer, (*answer.placed, allocation))

    def release(self, holding: JobAllocations) -> None:
        """Take back allocations that `place` made."""
        for node, allocation in holding.allocations:
            at = self._place_of[node]
            answer = self._measured(at)
            placed = list(answer.placed)
            placed.remove(allocation)
            self._change(at, answer, tuple(placed))

    def read_anew(self, node: NodeName, reading: Reading) -> None:
        """Replace the reading of a node; allocations placed on it stay."""
        at = self._place_of[node]
        answer = replace(self._measured(at), reading=reading)
        # No release may return to a state of the old reading.
        self._answers[at] = self._before[at] = answer
        self._loads[at] = None
        self._touched.append(at)

    @property
    def all_answers(self) -> tuple[Answer, ...]:
        """The nodes with all current charges, by name."""
        return tuple(self._answers)

    def _become_separate(self) -> None:
        """Stop sharing state with the original of this copy."""
        self._answers, self._before, self._loads = self._answers.copy(), self._before.copy(), self._loads.copy()
        # Kinds not used for so long that every node may have changed are dropped: computing them anew is as quick.
        first = max(0, len(self._touched) - len(self._answers))
        self._touched = self._touched[first:]
        self._kinds = {
            request: kind.copy(seen=kind.seen - first) for request, kind in self._kinds.items() if kind.seen >= first
        }

    def _charge(self, at: int, request: Request) -> Allocation:
        answer = self._measured(at)
        allocation = allocation_for(request, answer, self._policy)
        self._change(at, answer, (*answer.placed, allocation))
        return allocation

    def _measured(self, at: int) -> Measured:
        answer = self._answers[at]
        assert isinstance(answer, Measured)  # nothing else fits
        return answer

    def _change(self, at: int, answer: Measured, placed: tuple[Allocation, ...]) -> None:
        before = self._before[at]
        is_back = isinstance(before, Measured) and before.placed == placed
        self._answers[at] = before if is_back else replace(answer, placed=placed)
        self._before[at] = answer
        self._loads[at] = None
        self._touched.append(at)

    def _kind(self, request: Request) -> _RequestKind:
        # Kinds ignore the number of copies and the job's name.
        alike = request if request.pick == 1 and not request.name else replace(request, pick=1, name="")
        kind = self._kinds.get(alike)
        if kind is None:
            kind = self._kinds[alike] = _RequestKind(
                asked=filter_input(self._snapshot, alike, self._policy, self._now),
                weighed=scorers_of(self._policy, alike, among_gpus=self._among_gpus),
            )
            kind.totals = [self._total(at, kind) for at in range(len(self._answers))]
            kind.totals_of = self._answers.copy()
            kind.before, kind.before_of = kind.totals.copy(), kind.totals_of.copy()
            kind.fitting = sum(1 for points in kind.totals if points > _UNFIT)
        else:
            for at in set(self._touched[kind.seen :]):
                self._bring_up_to_date(kind, at)
        kind.seen = len(self._touched)
        return kind

    def _bring_up_to_date(self, kind: _RequestKind, at: int) -> None:
        answer, of, was = self._answers[at], kind.totals_of[at], kind.totals[at]
        if answer is of:
            return
        now = kind.before[at] if answer is kind.before_of[at] else self._total(at, kind)
        kind.totals[at], kind.totals_of[at] = now, answer
        kind.before[at], kind.before_of[at] = was, of
        kind.fitting += (now > _UNFIT) - (was > _UNFIT)

    def _load(self, at: int) -> NodeLoad | Unknown | None:
        """The load of the node; kept until its charges change, because every kind needs it."""
        answer = self._answers[at]
        if self._loads[at] is None and isinstance(answer, Measured):
            self._loads[at] = effective_load(answer)
        return self._loads[at]

    def _total(self, at: int, kind: _RequestKind) -> float:
        found = unfit_reason(self._answers[at], kind.asked, self._load(at))
        if not isinstance(found, NodeLoad):
            return _UNFIT
        request = kind.asked.request
        return total(found, request, kind.weighed) + head_start(found, request, self._policy)


# -- `ClusterState` as the `FreeCapacity` of a queue


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCapacity:
    """Free capacity of a replay. `copies_share_nodes`: several copies of one request may share a node."""

    state: ClusterState
    rng: Rng
    copies_share_nodes: bool = False

    def place(self, request: Request) -> JobAllocations | None:
        if self.copies_share_nodes and request.pick is not None and request.pick > 1:
            return self._place_one_by_one(request, request.pick)
        return self.state.place(request, self.rng)

    def fits(self, request: Request) -> bool:
        count = self.state.count_fitting(request)
        if count >= (request.pick or 1):
            return True
        return bool(count) and self.copies_share_nodes and self.copy().place(request) is not None

    def release(self, held: JobAllocations) -> None:
        self.state.release(held)

    def hold(self, held: JobAllocations) -> None:
        self.state.hold(held)

    def copy(self) -> Self:
        return replace(self, state=self.state.copy())

    def _place_one_by_one(self, request: Request, copies: int) -> JobAllocations | None:
        """Place the copies one by one, each where the policy would put one more."""
        one = replace(request, pick=1)
        taken: list[JobAllocations] = []
        while len(taken) < copies:
            held = self.state.place(one, self.rng)
            if held is None:
                for again in taken:
                    self.state.release(again)
                return None
            taken.append(held)
        return JobAllocations(allocations=tuple(allocation for held in taken for allocation in held.allocations))
