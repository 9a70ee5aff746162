"""Tasks that were assigned to slots, until the log that names them is on disk. Only then may they be sent.

The slots are listened to meanwhile: a busy disk takes a tenth of a second.
"""

from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue

from clbalance.engine.tasks.slot import Slot
from clbalance.errors import StoreError
from clbalance.model.task import Task
from clbalance.ports import TaskLog


class GivenTasks:
    """Assignments that are written to the log, in order. `wake` is called, in any thread, when some may be sent."""

    def __init__(self, log: TaskLog, wake: Callable[[], None]) -> None:
        self._log = log
        self._wake = wake
        self._written: list[tuple[Slot, list[Task]]] = []
        self._syncing: list[tuple[Slot, list[Task]]] = []
        self._is_syncing = False
        self._synced: SimpleQueue[StoreError | None] = SimpleQueue()

    @property
    def can_go_on(self) -> bool:
        """Whether a sync has ended."""
        return not self._synced.empty()

    def waiting_slots(self) -> set[Slot]:
        """The slots with tasks that are not sent yet."""
        return {slot for slot, _ in (*self._written, *self._syncing)}

    def add(self, batches: Iterable[tuple[Slot, list[Task]]]) -> None:
        """These were written to the log."""
        self._written += batches

    def take_back(self, slot: Slot) -> list[Task]:
        """The tasks of this slot that are not sent yet. They will not be."""
        unsent = [task for one, some in (*self._written, *self._syncing) if one is slot for task in some]
        self._written = [batch for batch in self._written if batch[0] is not slot]
        self._syncing = [batch for batch in self._syncing if batch[0] is not slot]
        return unsent

    def durable(self) -> Iterator[tuple[Slot, list[Task]]]:
        """Those to send now. One sync is for all that was written since the last one began."""
        while True:
            if not self._synced.empty():
                if error := self._synced.get():
                    raise error
                sent, self._syncing, self._is_syncing = self._syncing, [], False
                yield from sent
            if self._is_syncing or not self._written:
                return
            self._syncing, self._written, self._is_syncing = self._written, [], True
            self._log.sync(self._sync_ended)

    def _sync_ended(self, error: StoreError | None) -> None:
        self._synced.put(error)
        self._wake()
