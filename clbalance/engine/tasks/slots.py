"""Decide on which nodes slots are opened, and when to ask nodes for more slots."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

from clbalance.engine.place import place_on
from clbalance.engine.services import PlacementQuery, Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, NodeName, Plan, Request, Snapshot, Unknown
from clbalance.policy.placement.capacity import asks_for_nothing
from clbalance.policy.placement.charge import assume
from clbalance.policy.placement.gpu_rank import shared_first
from clbalance.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotPlan:
    """`plan` is for the first slot on each node; `nodes` has one entry for each slot, best first."""

    plan: Plan
    nodes: tuple[NodeName, ...]
    answers: dict[NodeName, Measured]

    def joined_by(self, late: "SlotPlan") -> "SlotPlan":
        """The plan with the nodes of another one, which answered after this one was made."""
        known = [one for one in self.plan.unfit if one.node not in late.answers]
        plan = replace(
            self.plan,
            ranked=(*self.plan.ranked, *late.plan.ranked),
            unfit=(*known, *late.plan.unfit),
            set_aside=(*self.plan.set_aside, *late.plan.set_aside),
        )
        return SlotPlan(plan=plan, nodes=(*self.nodes, *late.nodes), answers={**self.answers, **late.answers})


def plan_slots(services: Services, snapshot: Snapshot, query: PlacementQuery, most: int) -> SlotPlan:
    """Place one slot on every node that fits, in rounds while any fits. Each slot is charged before the next round.

    Slots with a share of a GPU fill the devices that are shared already, before a round cuts whole ones.
    """
    everywhere = replace(query, request=replace(query.request, pick=None))
    answers = {one.node: one for one in snapshot.answers if isinstance(one, Measured)}
    plan = first = place_on(services, snapshot, everywhere)
    nodes: list[NodeName] = []
    while plan.chosen and (left := most - len(nodes)) > 0:
        taken = shared_first(plan, snapshot, everywhere.request, query.policy, left)[:left]
        nodes += taken
        if asks_for_nothing(query.request):
            full = _full(nodes, answers)
            everywhere = replace(
                everywhere, request=replace(everywhere.request, excluded=everywhere.request.excluded | full)
            )
        everyone = len(taken) == len(plan.chosen)
        snapshot = plan.charged if everyone else assume(snapshot, taken, everywhere.request, query.policy)
        plan = place_on(services, snapshot, everywhere)
    return SlotPlan(plan=first, nodes=tuple(nodes), answers=answers)


_FOR_NOW = {"cpus", "memory", "gpus", "slots", "exclusive", "leases", "thresholds"}
"""Filters that a node may pass later in the run: its admission decides. A node unfit by another filter never fits."""


def never_fit(plan: SlotPlan) -> frozenset[NodeName]:
    """Nodes that have answered and can take no slot, now or later in the run."""
    return frozenset(one.node for one in plan.plan.unfit if one.node in plan.answers and one.filter not in _FOR_NOW)


def may_take_more(
    plan: SlotPlan, request: Request, counts: Mapping[NodeName, int], *, most_nodes: int
) -> frozenset[NodeName]:
    """Nodes that can be asked for another slot. `counts`: the slots that each node has already."""
    never = never_fit(plan)
    nodes = [node for node in plan.answers if node not in never]
    if asks_for_nothing(request):
        nodes = [node for node in nodes if counts.get(node, 0) < _slots_of(plan.answers[node])]
    if request.name in request.constraints.apart:
        nodes = [node for node in nodes if node not in counts]
    if len(counts) >= most_nodes:
        nodes = [node for node in nodes if node in counts]
    return frozenset(nodes)


def _full(nodes: list[NodeName], answers: dict[NodeName, Measured]) -> frozenset[NodeName]:
    """A request without resources always fits: limit it to the slots of the node, or else to its CPUs."""
    return frozenset(node for node, count in Counter(nodes).items() if count >= _slots_of(answers[node]))


def _slots_of(answer: Measured) -> int:
    if answer.slots is not None:
        return answer.slots
    cpus = answer.reading.cpus
    return 1 if isinstance(cpus, Unknown) else cpus.online


# When to ask nodes for further slots: with growing pauses, but soon after a slot has ended.

_AFTER_S = (5.0, 300.0)  # at first, and at most
_SOON_S = 1.0


class SlotBackoff:
    """Decides when to ask nodes for more slots."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._after_s = _AFTER_S[0]
        self._at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether to ask now."""
        return self._clock.monotonic() >= self._at

    def later(self) -> None:
        """All nodes have been asked: double the pause."""
        self._at = self._clock.monotonic() + self._after_s
        self._after_s = min(2 * self._after_s, _AFTER_S[1])

    def soon(self) -> None:
        """A slot has ended, or a node has failed: ask in `_SOON_S` seconds at the latest."""
        self._at = min(self._at, self._clock.monotonic() + _SOON_S)


class SlotNodes:
    """Where slots are opened: where they fit at first, on nodes that answer late, and later wherever one may fit."""

    def __init__(self, services: Services, query: PlacementQuery) -> None:
        self._services = services
        self._query = query
        self._backoff = SlotBackoff(services.clock)
        self._late: list[Measured] = []
        self._unusable: set[NodeName] = set()
        self._plan: SlotPlan | None = None

    @property
    def plan(self) -> SlotPlan:
        """With the nodes that have answered late. There is one before there are slots."""
        assert self._plan is not None, "nodes were asked"
        return self._plan

    def first(self, snapshot: Snapshot, most: int) -> SlotPlan:
        """The plan for the first slots."""
        self._plan = plan_slots(self._services, snapshot, self._query, most)
        self._backoff.later()
        return self._plan

    def answered(self, answer: Measured) -> None:
        """A node has answered after the plan was made."""
        self._late.append(answer)

    def late(self, most: int, used: Collection[NodeName]) -> tuple[NodeName, ...]:
        """The nodes for slots that have answered since the last call. `used`: those with slots."""
        if not self._late:
            return ()
        snapshot = Snapshot(taken_at=self._services.clock.now(), answers=tuple(self._late))
        self._late.clear()
        late = plan_slots(self._services, snapshot, self._query, most)
        self._plan = self.plan.joined_by(late)
        return late.nodes if len({*used, *late.nodes}) <= self._services.session_limit else ()

    def further(self, most: int, counts: Mapping[NodeName, int]) -> tuple[NodeName, ...]:
        """Now and then: the nodes to ask for one more slot, because their admission knows what is free."""
        if not self._backoff.is_due:
            return ()
        self._backoff.later()
        may = may_take_more(self.plan, self._query.request, counts, most_nodes=self._services.session_limit)
        nodes = sorted(may - self._unusable, key=lambda _: self._query.rng.random())
        return tuple(nodes[:most])

    def leave(self, node: NodeName) -> None:
        """Open no more slots on this node."""
        self._unusable.add(node)

    def soon(self) -> None:
        """Ask for further slots soon."""
        self._backoff.soon()
