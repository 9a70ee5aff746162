"""What other users could do about a node that has too much: told, never done."""

from collections.abc import Iterable, Iterator
from typing import Final

from clbalance.model import Answer, Lease, Measured, NodeName, Promise, Unknown
from clbalance.policy.rebalance.values import Advice

_MOST_OF_A_NODE: Final = 3
_MOST: Final = 20


def advice_for(answers: Iterable[Answer], over: frozenset[NodeName], uid: int) -> tuple[Advice, ...]:
    """Of the leases of others that take most of these nodes; by owner, node and job, and not more than can be read."""
    found = [one for answer in answers if answer.node in over for one in _of_node(answer, uid)]
    largest = sorted(found, key=lambda one: (-one.cpus, one.uid, one.node, one.name))[:_MOST]
    return tuple(sorted(largest, key=lambda one: (one.uid, one.node, -one.cpus, one.name)))


def _of_node(answer: Answer, uid: int) -> Iterator[Advice]:
    leases = answer.reading.leases if isinstance(answer, Measured) else ()
    of_others = [
        (lease, lease.promise)
        for lease in (() if isinstance(leases, Unknown) else leases)
        if lease.uid != uid and isinstance(lease.promise, Promise) and lease.promise.cpus > 0.0
    ]
    of_others.sort(key=lambda one: (-one[1].cpus, one[0].uid, one[1].name, one[0].key))
    for lease, promise in of_others[:_MOST_OF_A_NODE]:
        yield _advice(answer.node, lease, promise)


def _advice(node: NodeName, lease: Lease, promise: Promise) -> Advice:
    name = promise.name or f"{lease.key[:8]}"
    cpus = f"{promise.cpus:g} {'cpu' if promise.cpus == 1.0 else 'cpus'}"
    text = (
        f"job {name} takes {cpus} of {node}: if it was submitted with `--requeue` or `--checkpoint`, "
        f"its owner's `clbalance rebalance --apply` may move it. Otherwise submit the next one with one of these"
    )
    return Advice(uid=lease.uid, node=node, name=name, cpus=promise.cpus, text=text)
