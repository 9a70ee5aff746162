"""Charge: count a placement at once, and limit allocations to where another node becomes better. Pure."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from clbalance.model import Allocation, Measured, NodeName, Plan, Request, Snapshot, Unknown
from clbalance.policy.allocations import age_s
from clbalance.policy.placement.gpu_choice import devices_for
from clbalance.policy.placement.gpu_rank import gpu_points
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import Policy, Rule


def assume(snapshot: Snapshot, nodes: Sequence[NodeName], request: Request, policy: Policy) -> Snapshot:
    """The snapshot with the allocation of `request` placed on each of `nodes`; the order of answers is kept."""
    charged = with_allocation(snapshot, nodes, lambda answer: allocation_for(request, answer, policy))
    return replace(charged, last_used=nodes[-1]) if nodes else charged


def with_allocation(
    snapshot: Snapshot, nodes: Collection[NodeName], allocation: Callable[[Measured], Allocation]
) -> Snapshot:
    """The snapshot with one more allocation placed on each of `nodes` that answered."""
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
    """The node's uptime in seconds, for the age of an allocation; 0 if unknown, as if the load showed nothing yet."""
    uptime_s = answer.reading.uptime_s
    return 0.0 if isinstance(uptime_s, Unknown) else uptime_s


def allocation_for(request: Request, answer: Measured, policy: Policy) -> Allocation:
    """The allocation of the request on this node, made now, with the GPUs that it would get."""
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
    """The node of the last placement; if none was made on this snapshot, the node of the youngest lease."""
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


# -- limits of allocations: up to where the chosen node is still the better choice
#
# Clients that probe at the same moment all choose the same node. Its admission refuses claims above the limit, and a
# refused client counts the new allocations and places again. So a burst spreads as if one dispatcher had placed it.


def allocation_limits(plan: Plan, snapshot: Snapshot, request: Request, policy: Policy) -> dict[NodeName, float]:
    """For each chosen node the allocated cpus, of all leases, up to which it stays better than the runner-up.

    `snapshot`: the one that `plan` was made on. Empty if the run queue does not decide the order, or without runner-up.
    A node has no limit whose GPUs make it better whatever its run queue.
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
    limits: dict[NodeName, float] = {}
    for node in plan.chosen:
        load = loads[node]
        assert isinstance(load, NodeLoad)
        capacity = _equal_delay(load, behind, request, policy) * _speed(load) - request.cpus - load.run_queue
        if capacity < math.inf:
            limits[node] = load.allocations.cpus + max(0.0, capacity)
    return limits


def _equal_delay(load: NodeLoad, behind: NodeLoad, request: Request, policy: Policy) -> float:
    """The delay on a node at which it is no better than `behind`, by run queue and GPUs; infinite if it always is."""
    delay = (behind.run_queue + request.cpus) / _speed(behind)
    ahead = gpu_points(load, request) - gpu_points(behind, request)
    if not ahead or not policy.weights.gpu:
        return delay
    # As in `score.py`: 100 / (1 + delay) points of the run queue.
    points = 100.0 / (1.0 + delay) - ahead * policy.weights.gpu / policy.weights.run_queue
    return 100.0 / points - 1.0 if points > 0.0 else math.inf


def with_allocations(snapshot: Snapshot, allocated: Mapping[NodeName, float]) -> Snapshot:
    """The snapshot with the nodes' own current sums of allocated cpus."""
    return with_allocation(snapshot, allocated, lambda answer: _fresh_allocations(answer, allocated[answer.node]))


def _fresh_allocations(answer: Measured, allocated_cpus: float) -> Allocation:
    """The cpus that were allocated since the snapshot."""
    load = effective_load(answer)
    known = 0.0 if isinstance(load, Unknown) else load.allocations.cpus
    return Allocation(cpus=max(0.0, allocated_cpus - known), uptime_s=uptime_of(answer))


def _speed(load: NodeLoad) -> float:
    return load.cpus * load.answer.cpu_factor
