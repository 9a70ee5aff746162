"""Whether the limits that root has set on a node for users and groups leave room for a request of ours. Pure.

The node decides, under its lock (docs/design/fair-share.md). Its text is read by its own functions. Who the members
of a group are is known there only, so of a group's limit only our own jobs count here; and a time limit is no part of
a request.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Measured, NodeLimits, NodeName, Request, Silent, Snapshot, Unknown
from clbalance.node.agent.lease.limits import (
    ROUNDING,
    Held,
    Limit,
    LimitsError,
    excess,
    limits_for,
    parse_limits,
    shares_in,
    shown_amount,
)
from clbalance.nodeset import fold
from clbalance.policy.allocations import age_s

_US: Final = 0
"""In place of a uid: here only our own jobs are counted."""


def why_limited(answer: Measured, cpus: float, mem_bytes: int, request: Request) -> tuple[str, str] | None:
    """The reason, and the detail; None: the request keeps within all limits. `cpus` and `mem_bytes`: of the node."""
    limits = answer.reading.limits
    if limits is None:
        return None
    own = limits if isinstance(limits, Unknown) else _own_limits(limits)
    if isinstance(own, Unknown):
        return "limits unknown", own.reason
    held = [_held(allocation) for allocation in _ours(answer)]  # beside an exclusive one nothing fits in any case
    asked = _asked(request, cpus, mem_bytes)
    for limit in own:
        if limit.name != "MaxWall" and (found := excess(limit, asked, held)):
            ours = shares_in(limit, held).get(_US)
            return f"limit {limit.name}", f"{found} (line {limit.line})" + (f"; leased: you {ours}" if ours else "")
    return None


def flaw_of(limits: NodeLimits | Unknown) -> str:
    """Why the node admits no job: its limits are not known, or wrong; empty if they are well."""
    own = limits if isinstance(limits, Unknown) else _own_limits(limits)
    return own.reason if isinstance(own, Unknown) else ""


@lru_cache(maxsize=64)
def _own_limits(limits: NodeLimits) -> tuple[Limit, ...] | Unknown:
    """Those that apply to our user, or why no job is admitted. Cached: the nodes of a cluster have few such files."""
    try:
        return tuple(limits_for(parse_limits(limits.text), set(limits.users), set(limits.groups)))
    except LimitsError as error:
        return Unknown(reason=str(error))


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
    return Held(_US, allocation.name, allocation.cpus, gpus, allocation.mem_bytes)


def _asked(request: Request, cpus: float, mem_bytes: int) -> Held:
    """An exclusive job holds all of the node."""
    asked_cpus, asked_bytes = request.cpus, request.mem_bytes
    if request.exclusive:
        asked_cpus, asked_bytes = max(cpus, asked_cpus), max(mem_bytes, asked_bytes)
    return Held(_US, request.name, asked_cpus, request.gpus * request.gpu_share, asked_bytes)


# -- limits over a node set, counted by the client on all nodes of the set

_MAY_BE_GIVEN_BACK_S: Final = 30.0
"""So long a lease may wait for the start of its job, and be given back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUse:
    """What our jobs hold on a node set of one limited thing: one job, the others, and of these the youngest."""

    name: str
    own: float = 0.0
    others: float = 0.0
    young: float = 0.0
    """Of the others, what may be given back in a moment, because its job may not have been started."""
    nodes: tuple[NodeName, ...] = ()
    """Where the others hold anything."""
    unknown: str = ""
    """What is not known; empty: nothing."""

    def fits(self, most: float) -> bool:
        """Whether all together keep within the limit. What is not known never does; what asks for none always does."""
        return not self.unknown and (not self.own or self.own + self.others <= most + ROUNDING)

    def may_shrink(self, most: float) -> bool:
        """Whether it may fit in a moment."""
        return not self.unknown and self.own + self.others - self.young <= most + ROUNDING

    @property
    def reason(self) -> str:
        """Why it does not fit."""
        if self.unknown:
            return f"what is in use is not known: {self.unknown}"
        used = shown_amount(self.name, self.others)
        there = f" on {fold(self.nodes)}" if self.nodes else ""
        return f"{shown_amount(self.name, self.own)} requested, {used} in use{there} until these jobs end"


def use_of_set(snapshot: Snapshot, name: str, key: str, copies: int) -> SetUse:
    """What our leases in the snapshot hold of `name`; `key`: of the job that is to be started, with so many copies."""
    own = others = young = 0.0
    nodes: list[NodeName] = []
    for answer in snapshot.answers:
        if isinstance(answer, Silent):
            return SetUse(name=name, unknown=f"{answer.node}: {answer.cause.because(answer.reason)}")
        leases, uid = answer.reading.leases, answer.reading.uid
        if isinstance(leases, Unknown) or isinstance(uid, Unknown):
            return SetUse(name=name, unknown=f"{answer.node}: its leases are not known")
        for lease in leases:
            if lease.uid != uid:
                continue
            allocation = _with_whole_node(lease.allocation, answer)
            if isinstance(allocation, Unknown):
                return SetUse(name=name, unknown=f"{answer.node}: {allocation.reason}")
            amount = _held(allocation).amounts[name] or 0.0
            if lease.key == key:
                own, copies = own + amount, copies - 1
                continue
            others += amount
            young += amount if age_s(allocation, answer.reading.uptime_s) < _MAY_BE_GIVEN_BACK_S else 0.0
            nodes += [answer.node] if amount else []
    if copies > 0:
        return SetUse(name=name, unknown="the leases of this job are not seen")
    return SetUse(name=name, own=own, others=others, young=young, nodes=tuple(dict.fromkeys(nodes)))


def _with_whole_node(allocation: Allocation | Unknown, answer: Measured) -> Allocation | Unknown:
    """The allocation; an exclusive one has all cpus and memory of its node, whatever it asked for."""
    if isinstance(allocation, Unknown):
        return Unknown(reason="a lease of yours cannot be read")
    if not allocation.exclusive:
        return allocation
    cpus, memory = answer.reading.cpus, answer.reading.memory
    if isinstance(cpus, Unknown) or isinstance(memory, Unknown):
        return Unknown(reason="you have all of it, and its cpus or memory are not known")
    return replace(
        allocation,
        cpus=max(allocation.cpus, cpus.online),
        mem_bytes=max(allocation.mem_bytes, memory.total_bytes),
    )
