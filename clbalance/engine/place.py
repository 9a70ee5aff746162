"""Sweep the candidates and place a request on what they answered."""

from collections.abc import Mapping
from dataclasses import replace

from clbalance.engine.services import Question, Services
from clbalance.engine.sweep import sweep
from clbalance.model import NodeName, Plan, Snapshot, Unfit
from clbalance.model.request import Later
from clbalance.policy.placement.fragmentation import seen_in
from clbalance.policy.placement.place import place
from clbalance.ports import Sessions


def choose(services: Services, sessions: Sessions, question: Question) -> Plan:
    """The plan for a question on fresh answers."""
    return plan_on(services, sweep(services, sessions, question.candidates, placing=True), question)


def plan_on(
    services: Services, snapshot: Snapshot, question: Question, refusals: Mapping[NodeName, str] | None = None
) -> Plan:
    """The plan for a question; nodes that have refused or were excluded by name are listed as unfit with the rest."""
    refused = refusals or {}
    request = replace(question.request, excluded=question.request.excluded.union(refused))
    policy = question.policy
    if policy.weights.fragmentation and not policy.workload.demands:
        policy = replace(policy, workload=seen_in(snapshot, request))
    plan = place(snapshot, request, policy, services.clock.now(), question.rng)
    unasked = question.request.excluded.difference(question.candidates)
    beside = (
        *(Unfit(node=node, filter="excluded", reason="excluded") for node in sorted(unasked)),
        *(
            Unfit(node=node, filter="admission", reason="refused by the node", detail=why)
            for node, why in refused.items()
        ),
    )
    return replace(plan, unfit=Later(lambda: (*(one for one in plan.unfit if one.node not in refused), *beside)))
