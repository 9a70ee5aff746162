"""Slots that do nothing although their nodes answer: their supervisors hang."""

from collections.abc import Iterable, Iterator

from clbalance.engine.tasks.slot import Slot
from clbalance.policy.jobs.task_queue import TaskQueue

_LEFT_AFTER = 1.5
"""Times the limit after which an ended slot is followed no further."""


class StuckSlots:
    """Since when slots owe the start of a task, or their own end.

    Time counts up to the last answer of the node: a node that hangs says nothing of its slots, and what they have done
    meanwhile is not known yet.
    """

    def __init__(self, queue: TaskQueue, limit_s: float) -> None:
        self.limit_s = limit_s
        self._queue = queue
        self._since: dict[int, float] = {}

    def moved(self, claim: int) -> None:
        """A slot has started, returned or ended a task."""
        self._since.pop(claim, None)

    def overdue(self, slots: Iterable[Slot]) -> Iterator[Slot]:
        """The slots that are to be ended; those that were, and have not ended long after, are to be left."""
        for slot in tuple(slots):
            heard_at = slot.heard_at
            if heard_at is None or not self._owes(slot):
                self.moved(slot.claim)
                continue
            owed_s = heard_at - self._since.setdefault(slot.claim, heard_at)
            if owed_s > self.limit_s * (_LEFT_AFTER if slot.is_ending else 1.0):
                yield slot

    def _owes(self, slot: Slot) -> bool:
        claim = slot.claim
        return self._queue.has_started_none(claim) or (slot.is_finishing and not self._queue.with_slot(claim))
