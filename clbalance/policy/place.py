"""The pure half of the program in one sentence: filter, score, select, charge."""

from dataclasses import replace
from datetime import datetime

from clbalance.model import Plan, Request, Snapshot
from clbalance.policy.charge import charge
from clbalance.policy.filter import filter_nodes
from clbalance.policy.policies import Policy
from clbalance.policy.score import score_nodes
from clbalance.policy.select import Rng, rank_nodes, select_nodes


def place(snapshot: Snapshot, request: Request, policy: Policy, now: datetime, rng: Rng) -> Plan:
    """The best nodes for `request`, everyone's score or reason, and the snapshot with the choice charged.

    Place the next request on `Plan.charged`, and requests count each other. A request that does not get all
    of its nodes is not going to run on some of them, so it charges nothing.
    """
    fit, unfit = filter_nodes(snapshot, request, policy, now)
    ranked = rank_nodes(score_nodes(fit, request, policy.weights), rng)
    chosen = select_nodes(ranked, request.pick)
    plan = Plan(
        wanted=request.pick,
        chosen=chosen,
        ranked=tuple(ranked),
        unfit=tuple(sorted(unfit, key=lambda one: one.node)),
        charged=snapshot,
    )
    return replace(plan, charged=charge(snapshot, chosen, request)) if plan.fits else plan
