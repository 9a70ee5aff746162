"""The load that counts: what everybody was promised of a node, and what others use of it.

    used = Σ cpus of leases + max(0, r1m - visible - what has just left)     in cpus; level = used / (cpus * cpu factor)

The half process that admission leaves to strangers (`room.NOISE_CPUS`) is not taken off here. There it decides
whether the last cpu of an idle node can be had; here levels are only compared, it would come off every node alike,
and two nodes of which strangers use 2 cpus would look as if they had room for half a job more than they have.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Measured, NodeName, Promise, RunQueue, Silent, Snapshot, Unknown
from clbalance.policy.drain import binding_drain
from clbalance.policy.effective import Load, effective_load
from clbalance.policy.ledger import TAU_S
from clbalance.policy.rebalance.values import Departure

ROUNDING = 9
"""Digits of a cpu: sums of the same promises in another order are then the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A node whose load is known, in cpus."""

    node: NodeName
    capacity: float
    """Its cpus times its cpu factor."""
    promised: float
    excess: float
    """What is used and was not promised: by strangers, and by jobs above their promise."""
    drained: bool
    """It takes nothing, and what is to leave it is `drain`'s: it is not of the pool."""

    @property
    def used(self) -> float:
        """All of it."""
        return self.promised + self.excess

    @property
    def level(self) -> float:
        """Per cpu."""
        return self.used / self.capacity


def settled(snapshot: Snapshot, departures: Iterable[Departure]) -> Snapshot:
    """The nodes by name, without what their run queues still show of jobs that have left."""
    rests: dict[NodeName, list[float]] = {}
    for departure in departures:
        rests.setdefault(departure.node, []).append(_rest(departure))
    answers = sorted(snapshot.answers, key=lambda answer: answer.node)
    # Rounded sums of sorted numbers: the order in which departures are told does not matter.
    return replace(
        snapshot, answers=tuple(_without(answer, math.fsum(rests.get(answer.node, ()))) for answer in answers)
    )


def use_of(answer: Answer, now: datetime) -> Use | Unknown:
    """What counts of a node whose departures are settled, or why nothing can be said of it."""
    if isinstance(answer, Silent):
        return Unknown(why=answer.cause.because(answer.why))
    load = effective_load(answer)
    if isinstance(load, Unknown):
        return load
    if isinstance(answer.reading.leases, Unknown):
        return Unknown(why=f"leases: {answer.reading.leases.why}")
    return Use(
        node=answer.node,
        capacity=load.cpus * answer.cpu_factor,
        promised=round(_promised(load), ROUNDING),
        excess=round(max(0.0, load.r1m - load.ledger.visible_cpus), ROUNDING),
        drained=binding_drain(answer.reading, now) is not None,
    )


def _promised(load: Load) -> float:
    """No lease counts for more than the node has, and one that cannot be read for all of it."""
    leases = load.answer.reading.leases
    assert not isinstance(leases, Unknown)
    held = [lease.promise.cpus if isinstance(lease.promise, Promise) else load.cpus for lease in leases]
    return math.fsum(min(cpus, load.cpus) for cpus in (*held, *(promise.cpus for promise in load.answer.placed)))


def _rest(departure: Departure) -> float:
    """What r1m still shows of it. Clocks jump: neither time is negative."""
    shown = departure.cpus * -math.expm1(-max(0.0, departure.age_s) / TAU_S)
    return shown * math.exp(-max(0.0, departure.seconds_ago) / TAU_S)


def _without(answer: Answer, rest_cpus: float) -> Answer:
    return with_r1m_less(answer, rest_cpus) if isinstance(answer, Measured) and rest_cpus else answer


def with_r1m_less(answer: Measured, cpus: float) -> Measured:
    """The node as if so much had never been in its run queue."""
    queue = answer.reading.run_queue
    if isinstance(queue, Unknown):
        return answer
    less = RunQueue(r1m=max(0.0, queue.r1m - cpus), r5m=queue.r5m, r15m=queue.r15m, rq=queue.rq)
    return replace(answer, reading=replace(answer.reading, run_queue=less))
