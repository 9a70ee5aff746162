"""Which candidates of a placement are asked, by the answers that the store still has (docs/design/few-nodes.md).

Decided in `policy/shortlist.py`. If the store cannot be read, nothing is known, and all are asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from clbalance.engine.answers import measured_answer, recall
from clbalance.engine.services import PlacementQuery, Services
from clbalance.model import Answer, Measured, NodeName, Request, Silent, Snapshot
from clbalance.model.node_history import FailureStreak, KeptAnswer
from clbalance.policy.forecast.carry import carried_forward
from clbalance.policy.node_memory import marked
from clbalance.policy.placement.filters import filter_input
from clbalance.policy.placement.place import place
from clbalance.policy.placement.quorum import was_not_awaited
from clbalance.policy.shortlist import Memory, first_asked, is_late_one_better, next_asked, not_asked, unknown_node
from clbalance.probe.kept_answer import unpack

_NO_FAILURES = FailureStreak()


class Shortlisting:
    """The nodes to ask for one query: first a few, then more where those will not do."""

    def __init__(
        self, services: Services, query: PlacementQuery, within_s: float, connected: frozenset[NodeName]
    ) -> None:
        """`connected`: nodes that can be asked without a login."""
        self._connected = connected
        self._services = services
        self._query = query
        self._within_s = within_s
        self.earlier = recall(services, query.candidates)
        self._memory = self._recalled()
        self.best: tuple[NodeName, ...] = ()
        """As many of the best, as far as is remembered, as are wanted; none if all nodes are asked."""

    def unasked_at_first(self) -> Mapping[NodeName, Silent]:
        """The nodes that are not asked at first, with the reasons."""
        now, query = self._services.clock.now(), self._query
        in_order = first_asked(self._memory, query.request, query.policy, now, query.rng, self._connected)
        if len(in_order) == len(query.candidates):
            return {}
        self.best, first = in_order[: query.request.pick], frozenset(in_order)
        filters = filter_input(Snapshot(taken_at=now, answers=()), query.request, query.policy, now)
        return {
            one.node: not_asked(one, self._memory.age_s.get(one.node, 0.0), filters)
            for one in self._memory.answers
            if one.node not in first
        }

    def next(self, snapshot: Snapshot, request: Request) -> tuple[NodeName, ...]:
        """The nodes to ask next; none, if those that have answered will do for `request`."""
        now, policy = self._services.clock.now(), self._query.policy
        return next_asked(self._memory, snapshot, self._chosen(snapshot, request), request, policy, now)

    def is_late_one_better(self, snapshot: Snapshot, request: Request) -> bool:
        """Whether one of the asked nodes is worth waiting for, although others will do for `request`."""
        if not any(map(was_not_awaited, snapshot.answers)):
            return False  # as usual: without one more placement
        now, policy = self._services.clock.now(), self._query.policy
        return is_late_one_better(self._memory, snapshot, self._chosen(snapshot, request), request, policy, now)

    def _chosen(self, snapshot: Snapshot, request: Request) -> Sequence[NodeName]:
        return place(snapshot, request, self._query.policy, self._services.clock.now(), self._query.rng).nodes

    def _recalled(self) -> Memory:
        now = self._services.clock.now()
        kept: Mapping[NodeName, KeptAnswer] = {}
        with self._services.without_store():
            kept = self._services.store.last_answers(self._query.candidates, now - timedelta(seconds=self._within_s))
        past = {node: one for node, one in kept.items() if one.at <= now}  # the clock may have been set back
        known = {node: answer for node, one in past.items() if (answer := self._answer(node, one)) is not None}
        memory = Memory(
            answers=tuple(known.get(node) or unknown_node(node, self._within_s) for node in self._query.candidates),
            age_s={node: (now - past[node].at).total_seconds() for node in known},
            within_s=self._within_s,
        )
        return replace(memory, answers=self._carried_forward(memory))

    def _carried_forward(self, memory: Memory) -> tuple[Answer, ...]:
        """The answers that are not fresh as they would probably be now; all with what the policy asks for."""
        stale = frozenset(node for node in memory.age_s if not memory.is_fresh(node))
        policy = self._query.policy
        if not stale and not policy.weights.forecast:
            return memory.answers
        from clbalance.engine.foresight import foreseen_answers  # docs/design/startup.md

        answers = [
            carried_forward(one) if one.node in stale and isinstance(one, Measured) else one
            for one in foreseen_answers(self._services, memory.answers, 0.0)
        ]
        return tuple(foreseen_answers(self._services, answers, policy.ahead_s) if policy.weights.forecast else answers)

    def _answer(self, node: NodeName, kept: KeptAnswer) -> Answer | None:
        """The answer as it was; None if it makes no sense any more."""
        found = unpack(node, kept.content)
        if found is None or isinstance(found, Silent):
            return found
        now_s = self._services.clock.now().timestamp()
        streak = self.earlier.failure_streaks.get(node, _NO_FAILURES)
        measured = replace(measured_answer(self._services, node, found.sections, 0.0, self.earlier), rates=found.rates)
        return marked(measured, streak, now_s=now_s)
