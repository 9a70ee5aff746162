"""What a node's GPUs mean for its rank: how free they are, and whether a share finds a device that is shared already.

Pure. The devices that a job may have are filtered elsewhere (`capacity.py`); this compares the nodes that are left.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from clbalance.model import Answer, Gpu, Measured, NodeName, Plan, Request, Snapshot, Term, Unknown
from clbalance.policy.allocations import allocations_of
from clbalance.policy.placement.gpus import (
    GpuState,
    Shares,
    candidates_among,
    gpu_candidates,
    gpu_condition,
    is_usable,
    matching_devices,
)
from clbalance.policy.placement.load import NodeLoad, effective_load
from clbalance.policy.placement.policies import Policy

_ROUNDING: Final = 1e-9
_IN_USE: Final = 0.5
"""The most that a device counts which processes without a lease use: it is not for us, however idle it is now."""
_NOT_ASKED_FOR: Final = 0.5
"""What free GPUs count for a job that asks for none. A node without GPUs counts in full, so that the job rather goes
there; among nodes with GPUs the one with more free GPUs is better, because such a job may use them all the same."""


def any_has_gpus(answers: Sequence[Answer]) -> bool:
    """Whether a node has GPUs, or may have some; otherwise they do not concern a job that asks for none."""
    for answer in answers:  # noqa: SIM110 - half the time of `any`, for sweeps of 10,000 nodes
        if type(answer) is Measured and answer.reading.gpus != ():
            return True
    return False


def gpu_points(load: NodeLoad, request: Request) -> float:
    """How free the node's GPUs are, 0…100; unknown GPUs are not free.

    Of a job that asks for some: those that it would get. A job that asks for none may use any that it sees: half by
    the best of them, half by all.
    """
    answer = matching_devices(load.answer, request)
    gpus, held = answer.reading.gpus, load.allocations.gpu_shares
    if isinstance(gpus, Unknown):
        return 0.0
    if request.gpus:
        given = candidates_among(gpus, answer, request)[: request.gpus]
        return 100.0 * _mean([_unused_share(gpu) for gpu in gpus if gpu.uuid in given])
    if not gpus:
        return 100.0
    seen = [gpu for gpu in gpus if not gpu.fault and held.get(gpu.uuid, 0.0) < 1.0 - _ROUNDING]
    free = [_free_share(gpu, held.get(gpu.uuid, 0.0)) for gpu in seen]
    return 50.0 * _NOT_ASKED_FOR * (max(free, default=0.0) + _mean(free))


def _mean(shares: Sequence[float]) -> float:
    return sum(shares) / len(shares) if shares else 0.0


def _free_share(gpu: Gpu, held: float) -> float:
    """What is not leased of a device without a stranger; else half of what is not used at most."""
    left = 1.0 - held
    return left if is_usable(gpu, held) else min(left, _IN_USE * _unused_share(gpu))


def _unused_share(gpu: Gpu) -> float:
    """Of its memory or of its time, whichever is less; 0 if one is unknown."""
    memory_pct, use_pct = gpu.mem_used_pct, 0.0 if gpu.parent else gpu.use_pct
    if isinstance(memory_pct, Unknown) or isinstance(use_pct, Unknown):
        return 0.0
    return max(0.0, 1.0 - max(memory_pct, use_pct) / 100.0)


def unreserved_gpus(plan: Plan) -> int:
    """How many GPUs of the chosen nodes are free, after a placement of a job that reserves none of them.

    0 if one of these nodes has none: the job would not have got one on each.
    """
    chosen = frozenset(plan.chosen)
    free = [_unreserved(answer) for answer in plan.charged.answers if answer.node in chosen]
    return sum(free) if all(free) else 0


def _unreserved(answer: Answer) -> int:
    if not isinstance(answer, Measured) or isinstance(answer.reading.gpus, Unknown) or not answer.placed:
        return 0
    if answer.placed[-1].gpus or answer.placed[-1].exclusive:
        return 0
    return _states(answer, answer.reading.gpus, allocations_of(answer).gpu_shares)[GpuState.FREE]


def _states(answer: Measured, gpus: Sequence[Gpu], held: Shares) -> Counter[GpuState]:
    """How many devices are in each state."""
    return Counter(gpu_condition(gpu, held.get(gpu.uuid, 0.0), answer.trends).state for gpu in gpus)


def gpu_text(load: NodeLoad, request: Request) -> str:
    """Such as "1 of 4 GPUs free (2 busy, 1 shared)"."""
    gpus = matching_devices(load.answer, request).reading.gpus
    if isinstance(gpus, Unknown):
        return f"GPUs unknown: {gpus.reason}"
    if not gpus:
        return "no GPUs"
    states = _states(load.answer, gpus, load.allocations.gpu_shares)
    free = states.pop(GpuState.FREE, 0)
    others = ", ".join(f"{count} {state}" for state, count in states.most_common())
    message = f"{free} of {len(gpus)} GPUs free" + (f" ({others})" if others else "")
    return message if request.gpus else f"{message}, counted half for a job without --gpus"


# -- shares of a device: those that are cut already are filled first, on whichever node they are

SHARED_FIRST: Final = 1000.0
"""Added to the total of a node by which nodes are ordered; totals themselves are 100 at most."""


def head_start(load: NodeLoad, request: Request, policy: Policy) -> float:
    """`SHARED_FIRST` for a node on which the share needs no whole device; else 0."""
    return SHARED_FIRST if _prefers_shared(request, policy) and _fills_shared(load, request) else 0.0


def share_terms(load: NodeLoad, request: Request, policy: Policy) -> tuple[Term, ...]:
    """The same as a term. It has no weight, because it comes before all that have one."""
    if not _prefers_shared(request, policy):
        return ()
    fills = _fills_shared(load, request)
    message = "fills a shared GPU: ranked first" if fills else "would split a whole GPU: ranked last"
    return (Term(name="gpu share", points=100.0 if fills else 0.0, weight=0.0, source=message),)


def shared_first(plan: Plan, snapshot: Snapshot, request: Request, policy: Policy, most: int) -> Sequence[NodeName]:
    """Of the chosen nodes those that get one of `most` copies now, if a node may get several, one after the other.

    For shares those that need no whole device; if there is none, as many as have to cut one.
    """
    if request.constraints.order or not _prefers_shared(request, policy):
        return plan.chosen
    loads = {one.node: effective_load(one) for one in snapshot.answers if isinstance(one, Measured)}
    fits = [(node, load) for node in plan.chosen if isinstance(load := loads[node], NodeLoad)]
    filling = [node for node, load in fits if _fills_shared(load, request)]
    return filling or plan.chosen[: math.ceil(most / math.floor(1.0 / request.gpu_share + _ROUNDING))]


def _prefers_shared(request: Request, policy: Policy) -> bool:
    return policy.fills_shares and request.gpu_share < 1.0


def _fills_shared(load: NodeLoad, request: Request) -> bool:
    """Whether a share finds room on a device of which shares are leased already."""
    held = load.allocations.gpu_shares
    if not held:
        return False
    if not (request.gpu_mem_bytes or request.constraints.where or isinstance(load.devices, Unknown)):
        # Devices that are not usable have no share left.
        models = request.gpu_models
        return any(
            share > 0.0
            and uuid in held
            and held[uuid] + request.gpu_share <= 1.0 + _ROUNDING
            and (not models or model in models)
            for share, model, uuid in load.devices
        )
    candidates = gpu_candidates(matching_devices(load.answer, request), request)
    return bool(candidates) and not isinstance(candidates, Unknown) and candidates[0] in held  # the fullest comes first
