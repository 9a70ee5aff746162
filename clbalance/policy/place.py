"""The pure half of the program in one sentence: filter, score, select, charge."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from clbalance.model import Plan, Request, Score, Snapshot
from clbalance.policy.charge import charge
from clbalance.policy.effective import Load
from clbalance.policy.filter import filter_nodes
from clbalance.policy.policies import Policy
from clbalance.policy.same import keep_same
from clbalance.policy.score import score_nodes
from clbalance.policy.select import Rng, rank_nodes, select_nodes


def place(snapshot: Snapshot, request: Request, policy: Policy, now: datetime, rng: Rng) -> Plan:
    """The best nodes for `request`, everyone's score or reason, and the snapshot with the choice charged.

    Place the next request on `Plan.charged`, and requests count each other. A request that does not get all
    of its nodes is not going to run on some of them, so it charges nothing.
    """
    fit, unfit = filter_nodes(snapshot, request, policy, now)
    ranked, others = keep_same(rank_nodes(_scores(fit, request, policy), rng), fit, request)
    chosen = select_nodes(ranked, request.pick)
    plan = Plan(
        wanted=request.pick,
        chosen=chosen,
        ranked=tuple(ranked),
        unfit=tuple(sorted((*unfit, *others), key=lambda one: one.node)),
        charged=snapshot,
    )
    return replace(plan, charged=charge(snapshot, chosen, request)) if plan.fits else plan


def _scores(fit: Sequence[Load], request: Request, policy: Policy) -> list[Score]:
    if not request.constraints.order:
        return score_nodes(fit, request, policy.weights)
    from clbalance.policy.order import in_order  # few use it

    return in_order(fit, request)
