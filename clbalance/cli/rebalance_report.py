"""From what was decided to what is shown of it. Pure but for the names of users."""

import pwd
from collections.abc import Iterator

from clbalance.cli.rebalance import RebalanceOptions
from clbalance.engine.rebalance import Facts, PoolPlan
from clbalance.job import JobState
from clbalance.lazy_dataclass import dataclass
from clbalance.nodes import fold
from clbalance.policy.queue import Chosen
from clbalance.policy.rebalance.values import Move
from clbalance.render.rebalance import Deed, PoolReport, RebalanceReport, deed_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who is started, who goes on waiting, who is moved."""

    facts: Facts
    chosen: Chosen
    plans: tuple[PoolPlan, ...]
    confirm: int

    @property
    def moves(self) -> tuple[Move, ...]:
        """Of all pools, in the order in which they are carried out."""
        return tuple(move for one in self.plans for move in one.plan.moves)

    @property
    def scores(self) -> tuple[float, float]:
        """Before and after, of the pool that is worst before."""
        worst = max(self.plans, key=lambda one: one.plan.score_before)
        return worst.plan.score_before, worst.plan.score_after

    @property
    def planned(self) -> tuple[Deed, ...]:
        """As it is before anything is done."""
        known = self.facts.queued
        starts = [
            Deed(what="start", job=job, name=known[job].record.name, dst=fold(nodes), why=known[job].record.reason)
            for job, nodes in self.chosen.starts
        ]
        return (*starts, *(deed_of(move) for move in self.moves))


def report_of(decision: Decision, *, deeds: tuple[Deed, ...], options: RebalanceOptions) -> RebalanceReport:
    """What the renderers are given."""
    known = decision.facts.queued
    return RebalanceReport(
        pools=tuple(
            PoolReport(
                name=one.pool.name,
                plan=one.plan,
                confirm=decision.confirm,
                times_over=tuple((node, times) for node, times in one.times_over.items() if times),
            )
            for one in decision.plans
        ),
        deeds=deeds,
        waiting=tuple((job, known[job].record.name, why) for job, why in decision.chosen.waits.items()),
        applied=options.apply,
        advice=None
        if not options.advise
        else tuple((_user(advice.uid), advice) for one in decision.plans for advice in one.plan.advice),
    )


def settled_deeds(facts: Facts) -> Iterator[Deed]:
    """What was found out of jobs that nobody had in hand, where it is more than that they have ended well."""
    for one in facts.settled:
        if one.now.queued and one.now.state is JobState.PENDING:
            yield Deed(what="settled", job=one.now.id, name=one.now.name, result="waits", why=one.now.reason)
        elif one.now.state is JobState.NODE_FAIL:
            yield Deed(what="settled", job=one.now.id, name=one.now.name, result="NODE_FAIL", why=one.now.reason)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
