"""Sweep the candidates and place a request on what they answered."""

from dataclasses import dataclass, replace

from clbalance.engine.sweep import sweep
from clbalance.engine.world import World
from clbalance.model import NodeName, Plan, Request, Unfit
from clbalance.policy.place import place
from clbalance.policy.policies import Policy
from clbalance.policy.select import Rng
from clbalance.ports import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be placed, among whom, by which policy; `rng` orders equals."""

    candidates: tuple[NodeName, ...]
    request: Request
    policy: Policy
    rng: Rng


def choose(world: World, sessions: Sessions, question: Question, *, keep_open: int = 0) -> Plan:
    """The plan for a question on fresh answers; nodes excluded by name are not asked, and listed as unfit.

    Up to `keep_open` sessions stay open for what follows.
    """
    snapshot = sweep(world, sessions, question.candidates, keep_open=keep_open)
    plan = place(snapshot, question.request, question.policy, world.clock.now(), question.rng)
    unasked = question.request.excluded.difference(question.candidates)
    excluded = tuple(Unfit(node=node, filter="excluded", reason="excluded") for node in sorted(unasked))
    return replace(plan, unfit=plan.unfit + excluded)
