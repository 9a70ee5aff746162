"""What was just placed counts at once, before the load shows it."""

from collections.abc import Collection
from dataclasses import replace

from clbalance.model import Measured, NodeName, Snapshot


def charge(snapshot: Snapshot, nodes: Collection[NodeName], cpus: float) -> Snapshot:
    """The snapshot with `cpus` more debt on each of `nodes`; the order of its answers is kept."""
    charged = frozenset(nodes)
    return replace(
        snapshot,
        answers=tuple(
            replace(answer, debt_cpus=answer.debt_cpus + cpus)
            if answer.node in charged and isinstance(answer, Measured)
            else answer
            for answer in snapshot.answers
        ),
    )
