"""What was just placed counts at once, before the load or a lease shows it."""

from collections.abc import Collection
from dataclasses import replace

from clbalance.model import Measured, NodeName, Promise, Request, Snapshot, Unknown
from clbalance.policy.gpus import gpu_candidates


def charge(snapshot: Snapshot, nodes: Collection[NodeName], request: Request) -> Snapshot:
    """The snapshot with what `request` takes placed on each of `nodes`; the order of its answers is kept."""
    charged = frozenset(nodes)
    return replace(
        snapshot,
        answers=tuple(
            replace(answer, placed=(*answer.placed, promise_to(request, answer)))
            if answer.node in charged and isinstance(answer, Measured)
            else answer
            for answer in snapshot.answers
        ),
    )


def promise_to(request: Request, answer: Measured) -> Promise:
    """What the request takes of this node, made now: with the GPUs that it would get."""
    candidates = gpu_candidates(answer, request) if request.gpus else ()
    uptime_s = answer.reading.uptime_s
    return Promise(
        cpus=request.cpus,
        mem_bytes=request.mem_bytes,
        gpus=() if isinstance(candidates, Unknown) else candidates[: request.gpus],
        gpu_share=request.gpu_share,
        slots=request.slots,
        exclusive=request.exclusive,
        uptime_s=0.0 if isinstance(uptime_s, Unknown) else uptime_s,
    )
