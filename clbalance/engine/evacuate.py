"""What may be moved off nodes that are drained: our own jobs that we have marked. Who moves them is given."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeAlias

from clbalance.engine.measure import measure
from clbalance.engine.world import World
from clbalance.errors import StoreError
from clbalance.job import JobRecord, JobState, Submitted
from clbalance.model import NodeName
from clbalance.policy.evacuation import Evacuation, Stay, evacuations
from clbalance.policy.may_move import may_be_moved
from clbalance.policy.policies import Policy
from clbalance.policy.select import Rng

MoveThem: TypeAlias = Callable[[World, Sequence[Evacuation]], None]
"""Returns when they are moved, or will not be."""

_LOOK_AGAIN_S: Final = 60.0
"""After a sweep of all candidates that has found room for nobody."""


class MovesOff:
    """Asks once for each job, when there is room for it elsewhere by the policy that it was submitted with."""

    def __init__(
        self,
        world: World,
        nodes: Collection[NodeName],
        policy_of: Callable[[Submitted], Policy],
        rng: Rng,
        move: MoveThem,
    ) -> None:
        self._world = world
        self._policy_of = policy_of
        self._rng = rng
        self._nodes = frozenset(nodes)
        self._move = move
        self._asked: set[int] = set()
        self._not_before_s = world.clock.monotonic()

    def go_on(self, before: Callable[[], None] = lambda: None) -> None:
        """Move what can be moved by now; `before` is called where there is something."""
        if self._world.clock.monotonic() < self._not_before_s:
            return
        stays = [stay for record in self._records() if (stay := self._stay(record)) is not None]
        if not stays:
            return
        targets = tuple(dict.fromkeys(node for stay in stays for node in stay.submitted.candidates))
        snapshot = measure(self._world, targets)
        found = evacuations(snapshot, stays, self._policy_of, snapshot.taken_at, self._rng)
        if not found:
            self._not_before_s = self._world.clock.monotonic() + _LOOK_AGAIN_S
            return
        self._asked |= {one.job for one in found}
        before()
        self._move(self._world, found)

    def _records(self) -> Sequence[JobRecord]:
        """None where they cannot be read now: the next look tries again."""
        try:
            return self._world.journal.records()
        except StoreError as error:
            self._world.listener.forgot(error.message)
            return ()

    def _stay(self, record: JobRecord) -> Stay | None:
        if (
            record.state is not JobState.RUNNING
            or record.id in self._asked
            or not self._nodes.intersection(record.nodes)
        ):
            return None
        submitted = self._submitted(record.id)
        if submitted is None or not may_be_moved(submitted.job, submitted.request, submitted.tries):
            return None
        return Stay(job=record.id, node=record.nodes[0], submitted=submitted)

    def _submitted(self, job: int) -> Submitted | None:
        """None also of one that another version has written."""
        try:
            return self._world.journal.submitted(job)
        except StoreError:
            return None
