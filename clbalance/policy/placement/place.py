"""Placement of one request: filter, score, select, charge. Pure; read this first."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain, islice

from clbalance.model import NodeName, Plan, Request, Score, Snapshot, Unfit
from clbalance.model.request import LazySequence
from clbalance.policy.placement.charge import assume, last_used
from clbalance.policy.placement.filters import FilterInput, filter_input, unfit_reason
from clbalance.policy.placement.force import set_aside
from clbalance.policy.placement.gpu_rank import any_has_gpus, share_terms
from clbalance.policy.placement.load import NodeLoad
from clbalance.policy.placement.policies import Policy, Rule
from clbalance.policy.placement.score import score, scorers_of
from clbalance.policy.placement.score_all import NONE, score_all
from clbalance.policy.placement.select import Rng, in_order, keep_same


def place(snapshot: Snapshot, request: Request, policy: Policy, now: datetime, rng: Rng) -> Plan:
    """The best nodes for `request`, the score or the reason of each node, and the snapshot with the choice charged.

    Place the next request on `Plan.charged`, so that it sees this one. A request that does not get all its nodes runs
    on none of them, so it charges nothing.
    """
    field = _Field(snapshot, request, policy, now)
    order = field.order(rng)
    chosen = tuple(field.answers[at].node for at in islice(order, request.pick))
    following = list(islice(order, 1))
    plan = Plan(
        wanted=request.pick,
        chosen=chosen,
        ranked=LazySequence(lambda: field.ranked(chosen, chain(following, order))),
        unfit=LazySequence(field.unfit),
        charged=snapshot,
        runner_up=field.answers[following[0]].node if following else None,
        set_aside=LazySequence(lambda: set_aside(snapshot, chosen, request, policy, now)),
    )
    return replace(plan, charged=assume(snapshot, chosen, request, policy)) if plan.fits else plan


class _Field:
    """All nodes for one request. Filters run only for the nodes that are needed; scores and reasons are lazy."""

    def __init__(self, snapshot: Snapshot, request: Request, policy: Policy, now: datetime) -> None:
        self.answers = snapshot.answers
        self._snapshot = snapshot
        self._policy = policy
        self._asked: FilterInput = filter_input(snapshot, request, policy, now)
        self._verdicts: dict[int, NodeLoad | Unfit] = {}
        self._by_order: dict[NodeName, Score] = {}
        self._of_others: tuple[Unfit, ...] = ()

    def order(self, rng: Rng) -> Iterator[int]:
        """Positions of the nodes that fit, in the order of the policy."""
        request, rule = self._asked.request, self._policy.rule
        if request.constraints.order:
            points, rule = self._ordered(), Rule.BEST
        else:
            points = score_all(self.answers, request, self._policy)
        names = [answer.node for answer in self.answers]
        last = last_used(self._snapshot) if rule is Rule.ROTATING else None
        order = in_order(rule, points, names, lambda at: isinstance(self._verdict(at), NodeLoad), rng, last)
        return self._same(order) if request.constraints.same else order

    def ranked(self, chosen: tuple[NodeName, ...], rest: Iterator[int]) -> Iterator[Score]:
        """Scores in the order of the choice: the chosen nodes, then those that would come next."""
        place_of = {answer.node: at for at, answer in enumerate(self.answers)}
        return self._scores((*(place_of[node] for node in chosen), *rest))

    def unfit(self) -> Iterator[Unfit]:
        """The nodes that do not fit, with reasons, by name."""
        verdicts = (self._verdict(at) for at in range(len(self.answers)))
        found = (*(one for one in verdicts if isinstance(one, Unfit)), *self._of_others)
        return iter(sorted(found, key=lambda one: one.node))

    def _scores(self, places: Iterable[int]) -> Iterator[Score]:
        request, policy = self._asked.request, self._policy
        weighed = scorers_of(policy, request, among_gpus=any_has_gpus(self.answers))
        for at in places:
            load = self._verdict(at)
            assert isinstance(load, NodeLoad)
            by_order = self._by_order.get(load.answer.node)
            yield by_order or score(load, request, weighed, first=share_terms(load, request, policy))

    def _ordered(self) -> list[float]:
        """Points by `--order`, which compares all nodes that fit."""
        from clbalance.policy.placement.order import scores_in_order  # few use it

        verdicts = [self._verdict(at) for at in range(len(self.answers))]
        loads = [load for load in verdicts if isinstance(load, NodeLoad)]
        self._by_order = {one.node: one for one in scores_in_order(loads, self._asked.request)}
        return [self._by_order[answer.node].total if answer.node in self._by_order else NONE for answer in self.answers]

    def _same(self, order: Iterator[int]) -> Iterator[int]:
        """Only the nodes with the best value of the `--same` label."""
        places = list(order)
        loads = [load for at in places if isinstance(load := self._verdict(at), NodeLoad)]
        kept, self._of_others = keep_same(list(self._scores(places)), loads, self._asked.request)
        nodes = {one.node for one in kept}
        return iter([at for at in places if self.answers[at].node in nodes])

    def _verdict(self, at: int) -> NodeLoad | Unfit:
        if at not in self._verdicts:
            self._verdicts[at] = unfit_reason(self.answers[at], self._asked)
        return self._verdicts[at]
