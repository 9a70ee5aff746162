"""Whether the limits that root has set on a node for users and groups leave room for a request of ours. Pure.

The node decides, under its lock (docs/design/fair-share.md). Its text is read by its own functions. Who the members
of a group are is known there only, so of a group's limit only our own jobs count here; and a time limit is no part of
a request.
"""

from clbalance.model import Allocation, Measured, NodeLimits, Request, Unknown
from clbalance.node.agent.lease.limits import Held, LimitsError, excess, limits_for, parse_limits


def why_limited(answer: Measured, cpus: float, mem_bytes: int, request: Request) -> tuple[str, str] | None:
    """The reason, and the detail; None: the request keeps within all limits. `cpus` and `mem_bytes`: of the node."""
    limits = answer.reading.limits
    if limits is None:
        return None
    flaw = flaw_of(limits)
    if flaw or isinstance(limits, Unknown):
        return "limits unknown", flaw
    own = limits_for(parse_limits(limits.text), set(limits.users), set(limits.groups))
    held = [_held(allocation) for allocation in _ours(answer)]
    asked = _asked(request, cpus, mem_bytes)
    for limit in own:
        if limit.name != "MaxWall" and (found := excess(limit, asked, held)):
            return f"limit {limit.name}", f"{found} (line {limit.line})"
    return None


def flaw_of(limits: NodeLimits | Unknown) -> str:
    """Why the node admits no job: its limits are not known, or wrong; empty if they are well."""
    if isinstance(limits, Unknown):
        return limits.reason
    try:
        parse_limits(limits.text)
    except LimitsError as error:
        return str(error)
    return ""


def _ours(answer: Measured) -> list[Allocation]:
    """What our jobs hold on the node, and those that were placed a moment ago."""
    leases = answer.reading.leases
    listed = () if isinstance(leases, Unknown) else leases
    held = [
        one.allocation for one in listed if one.uid == answer.reading.uid and isinstance(one.allocation, Allocation)
    ]
    return [*held, *(one for one in answer.placed if one.slots)]  # without slots: what others have, by a refusal


def _held(allocation: Allocation) -> Held:
    gpus = len(allocation.gpus) * allocation.gpu_share
    return Held(0, allocation.name, allocation.cpus, gpus, allocation.mem_bytes)


def _asked(request: Request, cpus: float, mem_bytes: int) -> Held:
    """An exclusive job holds all of the node."""
    asked_cpus, asked_bytes = request.cpus, request.mem_bytes
    if request.exclusive:
        asked_cpus, asked_bytes = max(cpus, asked_cpus), max(mem_bytes, asked_bytes)
    return Held(0, request.name, asked_cpus, request.gpus * request.gpu_share, asked_bytes)
