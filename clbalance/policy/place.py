"""The pure half of the program in one sentence: filter, score, select, charge."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, islice

from clbalance.later import Later
from clbalance.model import NodeName, Plan, Request, Score, Snapshot, Unfit
from clbalance.policy.charge import charge, last_used
from clbalance.policy.effective import Load
from clbalance.policy.filter import Asked, asked_of, verdict
from clbalance.policy.policies import Policy, Rule
from clbalance.policy.same import best_value, of_another
from clbalance.policy.score import score
from clbalance.policy.scorers import scorers_of
from clbalance.policy.select import Rng, in_order
from clbalance.policy.totals import NONE, totals


def place(snapshot: Snapshot, request: Request, policy: Policy, now: datetime, rng: Rng) -> Plan:
    """The best nodes for `request`, everyone's score or reason, and the snapshot with the choice charged.

    Place the next request on `Plan.charged`, and requests count each other. A request that does not get all
    of its nodes is not going to run on some of them, so it charges nothing.
    """
    field = _Field(snapshot, request, policy, now)
    order = field.order(rng)
    chosen = tuple(field.answers[at].node for at in islice(order, request.pick))
    following = list(islice(order, 1))
    plan = Plan(
        wanted=request.pick,
        chosen=chosen,
        ranked=Later(lambda: field.ranked(chosen, chain(following, order))),
        unfit=Later(field.unfit),
        charged=snapshot,
        runner_up=field.answers[following[0]].node if following else None,
    )
    return replace(plan, charged=charge(snapshot, chosen, request, policy)) if plan.fits else plan


class _Field:
    """All nodes for one request; who fits is found out when it is asked, and told when somebody looks."""

    def __init__(self, snapshot: Snapshot, request: Request, policy: Policy, now: datetime) -> None:
        self.answers = snapshot.answers
        self._snapshot = snapshot
        self._policy = policy
        self._asked: Asked = asked_of(snapshot, request, policy, now)
        self._verdicts: dict[int, Load | Unfit] = {}
        self._ordered: dict[NodeName, Score] = {}

    def order(self, rng: Rng) -> Iterator[int]:
        """The places of the nodes that fit, in the order of the policy."""
        request, rule = self._asked.request, self._policy.rule
        if request.constraints.order:
            points, rule = self._by_expression(), Rule.BEST
        else:
            points = totals(self.answers, request, self._policy)
        names = [answer.node for answer in self.answers]
        last = last_used(self._snapshot) if rule is Rule.ROTATING else None
        places = in_order(rule, points, names, lambda at: isinstance(self._verdict(at), Load), rng, last)
        return iter(self._sharing(list(places), points)) if request.constraints.same else places

    def ranked(self, chosen: tuple[NodeName, ...], rest: Iterator[int]) -> Iterator[Score]:
        """Scores in the order of the choice: the chosen, then what would have come next."""
        request = self._asked.request
        weighed = scorers_of(self._policy, request)
        place_of = {answer.node: at for at, answer in enumerate(self.answers)}
        for at in (*(place_of[node] for node in chosen), *rest):
            load = self._load(at)
            yield self._ordered.get(load.answer.node) or score(load, request, weighed)

    def unfit(self) -> Iterator[Unfit]:
        """The others with their reasons, by name."""
        verdicts = (self._verdict(at) for at in range(len(self.answers)))
        return iter(sorted((found for found in verdicts if isinstance(found, Unfit)), key=lambda one: one.node))

    def _by_expression(self) -> list[float]:
        """Points by `--order`, of the nodes that fit."""
        from clbalance.policy.order import order_scores  # few use it

        found = map(self._verdict, range(len(self.answers)))
        scores = order_scores([one for one in found if isinstance(one, Load)], self._asked.request)
        self._ordered = {one.node: one for one in scores}
        return [self._ordered[one.node].total if one.node in self._ordered else NONE for one in self.answers]

    def _sharing(self, places: list[int], points: Sequence[float]) -> list[int]:
        """Those that share a value of the label; the others are unfit for that."""
        request = self._asked.request
        values = {at: self._load(at).answer.labels[request.constraints.same] for at in places}
        best = best_value([(values[at], points[at]) for at in places], request.pick)
        for at in places:
            if values[at] != best:
                self._verdicts[at] = of_another(self.answers[at].node, request.constraints.same, values[at], best)
        return [at for at in places if values[at] == best]

    def _load(self, at: int) -> Load:
        load = self._verdict(at)
        assert isinstance(load, Load)
        return load

    def _verdict(self, at: int) -> Load | Unfit:
        if at not in self._verdicts:
            self._verdicts[at] = verdict(self.answers[at], self._asked)
        return self._verdicts[at]
