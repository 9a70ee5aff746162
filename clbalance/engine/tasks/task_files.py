"""Send what tasks need: once to each node what all of them share, and to a slot what its next tasks get for themselves.

Threads do it, over links of their own. They share two `SimpleQueue`s with the one that runs the tasks, and the links,
which `close` ends.
"""

import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clbalance.engine.services import Services
from clbalance.engine.tasks.slot import Slot
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_files import INPUT_FOLDER, WORK_FOLDER, JobFiles, SentPath
from clbalance.model.task import Task
from clbalance.policy.jobs.task_files import sent_to

if TYPE_CHECKING:  # few jobs have files that travel
    from clbalance.engine.files.sending import Sent

_AT_ONCE = 16  # threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Files for one slot: what its tasks share, or what `tasks` get for themselves."""

    slot: Slot
    tasks: tuple[Task, ...]
    parts: tuple[tuple[str, tuple[SentPath, ...]], ...]

    def single(self) -> Iterator["Parcel"]:
        """A parcel for each of its tasks."""
        for task, part in zip(self.tasks, self.parts, strict=True):
            yield replace(self, tasks=(task,), parts=(part,))


@dataclass(slots=True)
class _Inputs:
    """The folder of a node with what all tasks share: that of the slot that was the first there."""

    owner: Slot
    are_there: bool = False


class TaskFiles:
    """The files of a run of tasks. Its calls are for one thread."""

    def __init__(self, services: Services, files: JobFiles | None) -> None:
        self._services = services
        self._files = files or JobFiles()
        self._inputs: dict[NodeName, _Inputs] = {}
        self._waiting: queue.SimpleQueue[Parcel | None] = queue.SimpleQueue()
        self._arrived: queue.SimpleQueue[tuple[Parcel, Sent | BaseException]] = queue.SimpleQueue()
        self._under_way: Counter[int] = Counter()
        """Parcels by the claims of their slots."""
        self._transfers = services.transfers(services) if self.sends_any else None
        self._threads = 0

    @property
    def sends_any(self) -> bool:
        """Whether anything is sent at all."""
        return bool(self._files.sent or self._files.sent_to_tasks)

    @property
    def sends_to_tasks(self) -> bool:
        """Whether each task gets files of its own."""
        return bool(self._files.sent_to_tasks)

    def is_sending_to(self, slot: Slot) -> bool:
        """Whether files are on their way to this slot."""
        return self._under_way[slot.claim] > 0

    def inputs_for(self, slot: Slot) -> str | None:
        """The folder on its node with what all tasks share; empty if that is nothing. None: it is not there yet.

        The first slot that asks on a node is sent everything. Others wait until that one runs.
        """
        if not self._files.sent:
            return ""
        inputs = self._inputs.get(slot.node)
        if inputs is None:
            self._inputs[slot.node] = _Inputs(slot)
            self._send(Parcel(slot=slot, tasks=(), parts=((INPUT_FOLDER, self._files.sent),)))
            return None
        is_ready = inputs.are_there and (inputs.owner is slot or inputs.owner.has_run)
        return f"{inputs.owner.folder}/{WORK_FOLDER}/{INPUT_FOLDER}" if is_ready else None

    def forget(self, slot: Slot) -> None:
        """This slot was never started: its folder is gone, and the next slot of its node is sent everything."""
        inputs = self._inputs.get(slot.node)
        if inputs is not None and inputs.owner is slot:
            del self._inputs[slot.node]

    def send(self, slot: Slot, tasks: Sequence[Task]) -> None:
        """Send to a slot what these tasks get for themselves."""
        parts = tuple((str(task.number), sent_to(self._files, task.number)) for task in tasks)
        self._send(Parcel(slot=slot, tasks=tuple(tasks), parts=parts))

    def send_singly(self, parcel: Parcel) -> None:
        """Send a parcel once more, in parts: some task has a fault, and the others have not."""
        for one in parcel.single():
            self._send(one)

    def arrived(self) -> Iterator[tuple[Parcel, "Sent"]]:
        """The parcels whose sending has ended since the last call."""
        with contextlib.suppress(queue.Empty):
            while True:
                parcel, sent = self._arrived.get_nowait()
                if isinstance(sent, BaseException):
                    raise sent
                self._under_way[parcel.slot.claim] -= 1
                inputs = self._inputs.get(parcel.slot.node)
                if not parcel.tasks and not sent.failures and inputs is not None and inputs.owner is parcel.slot:
                    inputs.are_there = True
                yield parcel, sent

    def close(self) -> None:
        """End what is under way."""
        if self._transfers is not None:
            self._transfers.close()
        for _ in range(self._threads):
            self._waiting.put(None)

    def _send(self, parcel: Parcel) -> None:
        self._under_way[parcel.slot.claim] += 1
        self._waiting.put(parcel)
        if self._threads < min(_AT_ONCE, self._under_way.total()):
            self._threads += 1
            threading.Thread(target=self._work, name="clbalance-send", daemon=True).start()

    def _work(self) -> None:
        from clbalance.engine.files.sending import send_files
        from clbalance.engine.files.transfers import NullFileListener, PassedOn

        transfers, fail_point = self._transfers, self._services.fail_point
        listener = PassedOn(NullFileListener(), partial(fail_point, "sending"))
        assert transfers is not None, "something is sent"
        while (parcel := self._waiting.get()) is not None:
            place = {parcel.slot.node: f"{parcel.slot.folder}/{WORK_FOLDER}"}
            try:
                sent: Sent | BaseException = send_files(parcel.parts, place, transfers, listener)
                fail_point("sent")
            except BaseException as error:  # noqa: BLE001 - raised in the thread that takes the result
                sent = error
            self._arrived.put((parcel, sent))
