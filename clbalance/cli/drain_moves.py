"""What may be moved off nodes that are drained: our own jobs that we have marked. Who moves them is given."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from clbalance.engine.measure import measure
from clbalance.engine.world import World
from clbalance.errors import StoreError
from clbalance.job import JobRecord, JobState, Submitted
from clbalance.model import NodeName
from clbalance.policy.evacuation import Evacuation, Stay, evacuations, may_leave
from clbalance.policy.policies import Policy
from clbalance.policy.select import Rng

MoveThem: TypeAlias = Callable[[World, Sequence[Evacuation]], None]
"""Returns when they are moved, or will not be."""


class MovesOff:
    """Asks once for each job, as soon as there is room for it elsewhere."""

    def __init__(self, world: World, nodes: Collection[NodeName], policy: Policy, rng: Rng, move: MoveThem) -> None:
        self._world = world
        self._policy = policy
        self._rng = rng
        self._nodes = frozenset(nodes)
        self._move = move
        self._asked: set[int] = set()

    def go_on(self, before: Callable[[], None] = lambda: None) -> None:
        """Move what can be moved by now; `before` is called where there is something."""
        stays = [stay for record in self._world.journal.records() if (stay := self._stay(record)) is not None]
        if not stays:
            return
        targets = tuple(dict.fromkeys(node for stay in stays for node in stay.submitted.candidates))
        snapshot = measure(self._world, targets)
        found = evacuations(snapshot, stays, self._policy, snapshot.taken_at, self._rng)
        if found:
            self._asked |= {one.job for one in found}
            before()
            self._move(self._world, found)

    def _stay(self, record: JobRecord) -> Stay | None:
        if (
            record.state is not JobState.RUNNING
            or record.id in self._asked
            or not self._nodes.intersection(record.nodes)
        ):
            return None
        submitted = self._submitted(record.id)
        if submitted is None or not may_leave(submitted):
            return None
        return Stay(job=record.id, node=record.nodes[0], submitted=submitted)

    def _submitted(self, job: int) -> Submitted | None:
        """None also of one that another version has written."""
        try:
            return self._world.journal.submitted(job)
        except StoreError:
            return None
