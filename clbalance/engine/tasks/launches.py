"""Start the slots of a run that were admitted: each launch is recorded first, and the inputs of the tasks are sent."""

from collections.abc import Sequence

from clbalance.engine.tasks.slot import Slot
from clbalance.engine.tasks.task_files import TaskFiles
from clbalance.engine.tasks.values import TaskRunContext
from clbalance.model import NodeName, Plan
from clbalance.model.job_record import NotStarted, Outcome


class SlotLaunches:
    """The slots whose launch is recorded. `count`: how many there were so far."""

    def __init__(self, context: TaskRunContext, files: TaskFiles) -> None:
        self._context = context
        self._services = context.services
        self._files = files
        self._waiting: dict[int, Slot] = {}
        """Recorded, and not started: their node does not have the inputs yet."""
        self._recorded: set[int] = set()
        self._nodes: set[NodeName] = set()
        self.count = 0

    def record(self, slots: Sequence[Slot], plan: Plan) -> bool:
        """Record the launches of these. False: the job was cancelled meanwhile, and none of them may start."""
        job = self._context.job
        new = [slot for slot in slots if slot.claim not in self._recorded]
        if not new:
            return True
        first = None if self.count else plan
        intents = {slot.claim: slot.intent for slot in new}
        if not self._services.journal.record_slot_launches(job.id, attempt=job.attempt, slots=intents, plan=first):
            return False
        self._services.fail_point("intended")
        self.count += len(new)
        nodes = {slot.node for slot in new}
        self._services.tell_forced(job, plan, nodes - self._nodes)
        self._nodes |= nodes
        self._recorded |= intents.keys()
        self._waiting |= {slot.claim: slot for slot in new}
        return True

    def start(self) -> None:
        """Start those whose nodes have the inputs."""
        for slot in tuple(self._waiting.values()):
            inputs = self._files.inputs_for(slot)
            if inputs is not None:
                del self._waiting[slot.claim]
                slot.start(self._context.stdin, inputs)

    def dropped(self, slot: Slot, reason: str) -> None:
        """This slot is not started any more: record that, if its launch is recorded."""
        self._files.forget(slot)
        self._waiting.pop(slot.claim, None)
        if slot.claim in self._recorded:
            end = NotStarted(reason=reason)
            with self._services.without_store():
                outcome = Outcome(node=slot.node, rank=0, end=end, seconds=0.0)
                self._services.journal.ended(self._context.job.id, slot.claim, outcome)
