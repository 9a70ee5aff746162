"""The nodes of a cluster under many placements, one after another; each as `place` would decide on a charged snapshot.

The total score of a request kind on a node changes only if something is placed there or released. So each kind keeps
its totals, and updates those of the nodes that changed since its last use. Most nodes are in a state in which
another node was before, so the totals are kept by state.
"""

from copy import copy as shallow_copy
from dataclasses import field, replace
from datetime import datetime
from itertools import islice
from typing import Final, Self

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Answer, Measured, NodeName, Reading, Request, Snapshot, Unknown
from clbalance.model.request import UNCONSTRAINED
from clbalance.policy.placement.capacity import has_room
from clbalance.policy.placement.charge import allocation_for
from clbalance.policy.placement.filters import FilterInput, filter_input, unfit_reason
from clbalance.policy.placement.gpu_rank import any_has_gpus, head_start
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import Policy, Rule
from clbalance.policy.placement.score import Weighed, scorers_of, total
from clbalance.policy.placement.select import Rng, best_place, in_order
from clbalance.policy.queue.node_states import NodeStates

_UNFIT: Final = -1.0
_MOST_KNOWN: Final = 20_000
"""Totals that a kind of request remembers."""


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
    is_any_node: bool
    """Whether the request sees no difference between nodes of the same state."""
    known: dict[object, float] = field(default_factory=dict)
    """Totals by state of the node."""
    fit_shapes: dict[int, bool] = field(default_factory=dict)
    """Shapes of nodes, and whether they are fit if they have room."""
    totals: list[float] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    fitting: int = 0
    seen: int = 0

    def copy(self, *, seen: int) -> "_RequestKind":
        """A copy, as of change number `seen`; what is known of states is known to both."""
        return replace(self, totals=self.totals.copy(), states=self.states.copy(), seen=seen)


class ClusterState:
    """The nodes of a snapshot; `place` charges them and `release` takes the charge back.

    `--order` and `--same` compare nodes with each other, so they are not supported here.
    """

    def __init__(self, snapshot: Snapshot, policy: Policy, now: datetime) -> None:
        self._answers = sorted(snapshot.answers, key=lambda answer: answer.node)
        self._numbers = NodeStates()
        self._shapes = [self._numbers.shape_of(answer) for answer in self._answers]
        self._states = [self._numbers.number_of(*one) for one in zip(self._shapes, self._answers, strict=True)]
        self._names = [answer.node for answer in self._answers]
        self._place_of = {answer.node: at for at, answer in enumerate(self._answers)}
        self._snapshot, self._policy, self._now = snapshot, policy, now
        self._loads: list[NodeLoad | Unknown | None] = [None] * len(self._answers)
        self._kinds: dict[Request, _RequestKind] = {}
        self._among_gpus = any_has_gpus(self._answers)
        self._touched: list[int] = []
        self._freed = [0] * len(self._answers)
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
        self._shapes[at] = self._numbers.shape_of(answer)
        self._become(at, answer)
        self._freed[at] = len(self._touched)

    @property
    def all_answers(self) -> tuple[Answer, ...]:
        """The nodes with all current charges, by name."""
        return tuple(self._answers)

    def _become_separate(self) -> None:
        """Stop sharing state with the original of this copy."""
        self._answers, self._loads = self._answers.copy(), self._loads.copy()
        self._shapes, self._states = self._shapes.copy(), self._states.copy()
        # Kinds not used for so long that every node may have changed are dropped: computing them anew is as quick.
        first = max(0, len(self._touched) - len(self._answers))
        self._touched = self._touched[first:]
        self._freed = [number - first for number in self._freed]
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
        self._become(at, replace(answer, placed=placed))
        if len(placed) < len(answer.placed):
            self._freed[at] = len(self._touched)

    def _become(self, at: int, answer: Measured) -> None:
        self._answers[at], self._states[at] = answer, self._numbers.number_of(self._shapes[at], answer)
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
                is_any_node=not alike.excluded and alike.constraints == UNCONSTRAINED,
            )
            kind.totals = [self._total(at, kind) for at in range(len(self._answers))]
            kind.states = self._states.copy()
            kind.fitting = sum(1 for points in kind.totals if points > _UNFIT)
        else:
            self._bring_up_to_date(kind)
        kind.seen = len(self._touched)
        return kind

    def _bring_up_to_date(self, kind: _RequestKind) -> None:
        states, totals = kind.states, kind.totals
        for at in set(self._touched[kind.seen :]):
            state, was = self._states[at], totals[at]
            if was == _UNFIT and kind.is_any_node and self._freed[at] <= kind.seen:
                states[at] = state  # more was placed there, which makes no room
            elif state != states[at]:
                now = totals[at] = self._total(at, kind)
                states[at] = state
                kind.fitting += (now > _UNFIT) - (was > _UNFIT)

    def _total(self, at: int, kind: _RequestKind) -> float:
        state: object = self._states[at] if kind.is_any_node else (at, self._states[at])
        found = kind.known.get(state)
        if found is None:
            if len(kind.known) >= _MOST_KNOWN:
                kind.known.clear()
            found = kind.known[state] = self._computed_total(at, kind)
        return found

    def _load(self, at: int) -> NodeLoad | Unknown | None:
        """The load of the node; kept until its charges change, because every kind needs it."""
        answer = self._answers[at]
        if self._loads[at] is None and isinstance(answer, Measured):
            self._loads[at] = effective_load(answer)
        return self._loads[at]

    def _computed_total(self, at: int, kind: _RequestKind) -> float:
        request, load = kind.asked.request, self._load(at)
        if not isinstance(load, NodeLoad) or not has_room(load, request) or not self._is_fit(at, kind, load):
            return _UNFIT
        return total(load, request, kind.weighed) + head_start(load, request, self._policy)

    def _is_fit(self, at: int, kind: _RequestKind, load: NodeLoad) -> bool:
        """Whether a node with room is fit; that depends on its shape alone, unless thresholds or constraints count."""
        if not kind.is_any_node or kind.asked.limits:
            return isinstance(unfit_reason(self._answers[at], kind.asked, load), NodeLoad)
        shape = self._shapes[at].number
        found = kind.fit_shapes.get(shape)
        if found is None:
            found = isinstance(unfit_reason(self._answers[at], kind.asked, load), NodeLoad)
            kind.fit_shapes[shape] = found
        return found


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
