"""The pure half of the program in one sentence: filter, score, select, charge."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice

from clbalance.later import Later
from clbalance.model import NodeName, Plan, Request, Score, Snapshot, Unfit
from clbalance.policy.charge import charge, last_used
from clbalance.policy.effective import Load
from clbalance.policy.filter import Asked, asked_of, verdict
from clbalance.policy.policies import Policy, Rule
from clbalance.policy.score import score
from clbalance.policy.scorers import scorers_of
from clbalance.policy.select import Rng, in_order
from clbalance.policy.totals import totals


def place(snapshot: Snapshot, request: Request, policy: Policy, now: datetime, rng: Rng) -> Plan:
    """The best nodes for `request`, everyone's score or reason, and the snapshot with the choice charged.

    Place the next request on `Plan.charged`, and requests count each other. A request that does not get all
    of its nodes is not going to run on some of them, so it charges nothing.
    """
    field = _Field(snapshot, request, policy, now)
    order = field.order(rng)
    chosen = tuple(field.answers[at].node for at in islice(order, request.pick))
    plan = Plan(
        wanted=request.pick,
        chosen=chosen,
        ranked=Later(lambda: field.ranked(chosen, order)),
        unfit=Later(field.unfit),
        charged=snapshot,
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

    def order(self, rng: Rng) -> Iterator[int]:
        """The places of the nodes that fit, in the order of the policy."""
        points = totals(self.answers, self._asked.request, self._policy)
        names = [answer.node for answer in self.answers]
        rule = self._policy.rule
        last = last_used(self._snapshot) if rule is Rule.ROTATING else None
        return in_order(rule, points, names, lambda at: isinstance(self._verdict(at), Load), rng, last)

    def ranked(self, chosen: tuple[NodeName, ...], rest: Iterator[int]) -> Iterator[Score]:
        """Scores in the order of the choice: the chosen, then what would have come next."""
        request = self._asked.request
        weighed = scorers_of(self._policy, request)
        place_of = {answer.node: at for at, answer in enumerate(self.answers)}
        for at in (*(place_of[node] for node in chosen), *rest):
            load = self._verdict(at)
            assert isinstance(load, Load)
            yield score(load, request, weighed)

    def unfit(self) -> Iterator[Unfit]:
        """The others with their reasons, by name."""
        verdicts = (self._verdict(at) for at in range(len(self.answers)))
        return iter(sorted((found for found in verdicts if isinstance(found, Unfit)), key=lambda one: one.node))

    def _verdict(self, at: int) -> Load | Unfit:
        if at not in self._verdicts:
            self._verdicts[at] = verdict(self.answers[at], self._asked)
        return self._verdicts[at]
