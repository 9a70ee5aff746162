"""Sweep the candidates, and place a request on the snapshot."""

from collections.abc import Mapping
from dataclasses import replace

from clbalance.engine.candidates import CandidateSweep
from clbalance.engine.services import PlacementQuery, Services
from clbalance.model import NodeName, Plan, Snapshot, Unfit
from clbalance.model.request import LazySequence
from clbalance.policy.placement.fragmentation import seen_in
from clbalance.policy.placement.place import place
from clbalance.ports import Sessions


def sweep_and_place(services: Services, sessions: Sessions, query: PlacementQuery) -> Plan:
    """Sweep the candidates of `query`, and return the plan."""
    candidates = CandidateSweep(services, sessions, query)
    return place_on(services, candidates.look(query.request), query)


def place_on(
    services: Services, snapshot: Snapshot, query: PlacementQuery, refusals: Mapping[NodeName, str] | None = None
) -> Plan:
    """The plan for `query`. Nodes that refused or were excluded by name are listed as unfit too."""
    refused = refusals or {}
    request = replace(query.request, excluded=query.request.excluded.union(refused))
    policy = query.policy
    if policy.weights.fragmentation and not policy.workload.demands:
        policy = replace(policy, workload=seen_in(snapshot, request))
    plan = place(snapshot, request, policy, services.clock.now(), query.rng)
    unasked = query.request.excluded.difference(query.candidates)
    further = (
        *(Unfit(node=node, filter="excluded", reason="excluded") for node in sorted(unasked)),
        *(
            Unfit(node=node, filter="admission", reason="refused by the node", detail=reason)
            for node, reason in refused.items()
        ),
    )
    return replace(
        plan, unfit=LazySequence(lambda: (*(one for one in plan.unfit if one.node not in refused), *further))
    )
