"""Place on nodes on which an agent starts: a python3 that crashes is seen only by starting it.

An agent is started once in each boot of a node, and only on chosen nodes. After that the store knows.
"""

from collections.abc import Mapping
from dataclasses import replace

from clbalance.engine.answers import remember_refusals, remember_working
from clbalance.engine.candidates import CandidateSweep
from clbalance.engine.place import place_on
from clbalance.engine.services import PlacementQuery, Services
from clbalance.model import Measured, NodeName, Plan, Snapshot


def sweep_and_place_tried(services: Services, query: PlacementQuery) -> Plan:
    """As `sweep_and_place`; and no chosen node is known, now, to start no agent."""
    with services.transport.sessions() as sessions:
        candidates = CandidateSweep(services, sessions, query)
        snapshot = candidates.look(query.request)
        while True:
            plan = place_on(services, snapshot, query)
            refusals = _refusals(services, _untried(services, snapshot, plan))
            if not refusals:
                return plan
            snapshot = candidates.look(query.request, _marked(snapshot, refusals))


def _untried(services: Services, snapshot: Snapshot, plan: Plan) -> dict[NodeName, str]:
    """The chosen nodes on which no agent has started since their boot, with the boot."""
    measured = [one for one in snapshot.answers if isinstance(one, Measured) and one.node in plan.nodes]
    boots = {one.node: one.reading.boot_id for one in measured if isinstance(one.reading.boot_id, str)}
    with services.without_store():
        known = services.store.failure_streaks(tuple(boots))
        return {node: boot for node, boot in boots.items() if known[node].worked_in_boot != boot}
    return boots


def _refusals(services: Services, boots: Mapping[NodeName, str]) -> dict[NodeName, str]:
    """Those of the nodes on which no agent starts, and why. Both kinds are remembered."""
    if not boots:
        return {}
    from clbalance.engine.agent.trial import try_agents  # once in a boot: docs/design/startup.md

    trials = try_agents(services, tuple(boots))
    refusals = {one.node: one.refused for one in trials if one.refused}
    remember_refusals(services, refusals)
    remember_working(services, {one.node: boots[one.node] for one in trials if one.works})
    return refusals


def _marked(snapshot: Snapshot, refusals: Mapping[NodeName, str]) -> Snapshot:
    answers = (
        replace(answer, refused=refusals[answer.node])
        if isinstance(answer, Measured) and answer.node in refusals
        else answer
        for answer in snapshot.answers
    )
    return replace(snapshot, answers=tuple(answers))
