"""What was just placed counts at once, before the load or a lease shows it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from clbalance.model import Measured, NodeName, Promise, Request, Snapshot, Unknown
from clbalance.policy.effective import effective_load
from clbalance.policy.gpu_choice import devices_for
from clbalance.policy.ledger import age_s
from clbalance.policy.policies import Policy


def charge(snapshot: Snapshot, nodes: Sequence[NodeName], request: Request, policy: Policy) -> Snapshot:
    """The snapshot with what `request` takes placed on each of `nodes`; the order of its answers is kept."""
    charged = with_placed(snapshot, nodes, lambda answer: promise_to(request, answer, policy))
    return replace(charged, last_used=nodes[-1]) if nodes else charged


def with_placed(snapshot: Snapshot, nodes: Collection[NodeName], promise: Callable[[Measured], Promise]) -> Snapshot:
    """The snapshot with one more promise placed on each of `nodes` that answered."""
    chosen = frozenset(nodes)
    return replace(
        snapshot,
        answers=tuple(
            [
                replace(answer, placed=(*answer.placed, promise(answer)))
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


def promise_to(request: Request, answer: Measured, policy: Policy) -> Promise:
    """What the request takes of this node, made now: with the GPUs that it would get."""
    load = effective_load(answer) if request.gpus else None
    devices = () if load is None or isinstance(load, Unknown) else devices_for(load, request, policy)
    return Promise(
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
        (age_s(lease.promise, answer.reading.uptime_s), answer.node)
        for answer in snapshot.answers
        if isinstance(answer, Measured) and not isinstance(answer.reading.leases, Unknown)
        for lease in answer.reading.leases
        if isinstance(lease.promise, Promise)
    ]
    return min(ages)[1] if ages else None
