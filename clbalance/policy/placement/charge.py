"""Charge: what was just placed counts at once, and how much more may be promised before another node is better."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from clbalance.model import Allocation, Measured, NodeName, Plan, Request, Snapshot, Unknown
from clbalance.policy.allocations import age_s
from clbalance.policy.placement.gpu_choice import devices_for
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import Policy, Rule


def assume(snapshot: Snapshot, nodes: Sequence[NodeName], request: Request, policy: Policy) -> Snapshot:
    """The snapshot with what `request` takes placed on each of `nodes`; the order of its answers is kept."""
    charged = with_allocation(snapshot, nodes, lambda answer: allocation_for(request, answer, policy))
    return replace(charged, last_used=nodes[-1]) if nodes else charged


def with_allocation(
    snapshot: Snapshot, nodes: Collection[NodeName], allocation: Callable[[Measured], Allocation]
) -> Snapshot:
    """The snapshot with one more promise placed on each of `nodes` that answered."""
    chosen = frozenset(nodes)
    return replace(
        snapshot,
        answers=tuple(
            [
                replace(answer, placed=(*answer.placed, allocation(answer)))
                if answer.node in chosen and isinstance(answer, Measured)
                else answer
                for answer in snapshot.answers
            ]
        ),
    )


def uptime_of(answer: Measured) -> float:
    """Seconds, for the age of a promise; 0 where the node does not tell, as if nothing showed yet."""
    uptime_s = answer.reading.uptime_s
    return 0.0 if isinstance(uptime_s, Unknown) else uptime_s


def allocation_for(request: Request, answer: Measured, policy: Policy) -> Allocation:
    """What the request takes of this node, made now: with the GPUs that it would get."""
    load = effective_load(answer) if request.gpus else None
    devices = () if load is None or isinstance(load, Unknown) else devices_for(load, request, policy)
    return Allocation(
        cpus=request.cpus,
        mem_bytes=request.mem_bytes,
        gpus=() if isinstance(devices, Unknown) else devices[: request.gpus],
        gpu_share=request.gpu_share,
        slots=request.slots,
        exclusive=request.exclusive,
        name=request.name,
        tmp_bytes=request.tmp_bytes,
        limit_cpus=request.limit_cpus,
        limit_mem_bytes=request.limit_mem_bytes,
        uptime_s=uptime_of(answer),
    )


def last_used(snapshot: Snapshot) -> NodeName | None:
    """Where the last request went: the node of the youngest lease, where nothing was placed since."""
    if snapshot.last_used is not None:
        return snapshot.last_used
    ages = [
        (age_s(lease.allocation, answer.reading.uptime_s), answer.node)
        for answer in snapshot.answers
        if isinstance(answer, Measured) and not isinstance(answer.reading.leases, Unknown)
        for lease in answer.reading.leases
        if isinstance(lease.allocation, Allocation)
    ]
    return min(ages)[1] if ages else None


# How much more may be promised of a chosen node before another would have been the better choice.
#
# Many clients that look at the same moment all choose the same node. Its admission is where they meet: it refuses who
# comes after others, who then counts those and places again. So a burst levels as if one dispatcher had placed it.


def allocation_limits(plan: Plan, snapshot: Snapshot, request: Request, policy: Policy) -> dict[NodeName, float]:
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
    assert isinstance(behind, NodeLoad)  # it fits
    delay = (behind.run_queue + request.cpus) / _speed(behind)
    limits: dict[NodeName, float] = {}
    for node in plan.chosen:
        load = loads[node]
        assert isinstance(load, NodeLoad)
        capacity = delay * _speed(load) - request.cpus - load.run_queue
        limits[node] = load.allocations.cpus + max(0.0, capacity)
    return limits


def with_allocations(snapshot: Snapshot, allocated: Mapping[NodeName, float]) -> Snapshot:
    """The snapshot with what nodes say that they have promised by now, cpus of all leases together."""
    return with_allocation(snapshot, allocated, lambda answer: _fresh_allocations(answer, allocated[answer.node]))


def _fresh_allocations(answer: Measured, promised_cpus: float) -> Allocation:
    """What was promised since we looked."""
    load = effective_load(answer)
    known = 0.0 if isinstance(load, Unknown) else load.allocations.cpus
    return Allocation(cpus=max(0.0, promised_cpus - known), uptime_s=uptime_of(answer))


def _speed(load: NodeLoad) -> float:
    return load.cpus * load.answer.cpu_factor
