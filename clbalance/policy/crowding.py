"""How much more may be promised of a chosen node before another would have been the better choice.

Many clients that look at the same moment all choose the same node. Its admission is where they meet: it refuses who
comes after others, who then counts those and places again. So a burst levels as if one dispatcher had placed it.
"""

from collections.abc import Mapping

from clbalance.model import Measured, NodeName, Plan, Promise, Request, Snapshot, Unknown
from clbalance.policy.charge import uptime_of, with_placed
from clbalance.policy.effective import Load, effective_load
from clbalance.policy.policies import Policy, Rule


def most_promised(plan: Plan, snapshot: Snapshot, request: Request, policy: Policy) -> dict[NodeName, float]:
    """By chosen node: the cpus, all leases together, up to which its run queue per cpu stays below the runner-up's.

    `snapshot` is what was placed on. Empty where the order of nodes is no matter of the run queue, or none is left.
    """
    if request.constraints.order or policy.rule is not Rule.BEST or not policy.weights.run_queue:
        return {}
    if plan.runner_up is None or not request.cpus:
        return {}
    concerned = {plan.runner_up, *plan.chosen}
    measured = (one for one in snapshot.answers if isinstance(one, Measured) and one.node in concerned)
    loads = {answer.node: effective_load(answer) for answer in measured}
    behind = loads[plan.runner_up]
    assert isinstance(behind, Load)  # it fits
    delay = (behind.run_queue + request.cpus) / _speed(behind)
    limits: dict[NodeName, float] = {}
    for node in plan.chosen:
        load = loads[node]
        assert isinstance(load, Load)
        room = delay * _speed(load) - request.cpus - load.run_queue
        limits[node] = load.ledger.cpus + max(0.0, room)
    return limits


def with_promised(snapshot: Snapshot, promised: Mapping[NodeName, float]) -> Snapshot:
    """The snapshot with what nodes say that they have promised by now, cpus of all leases together."""
    return with_placed(snapshot, promised, lambda answer: _fresh(answer, promised[answer.node]))


def _fresh(answer: Measured, promised_cpus: float) -> Promise:
    """What was promised since we looked."""
    load = effective_load(answer)
    known = 0.0 if isinstance(load, Unknown) else load.ledger.cpus
    return Promise(cpus=max(0.0, promised_cpus - known), uptime_s=uptime_of(answer))


def _speed(load: Load) -> float:
    return load.cpus * load.answer.cpu_factor
