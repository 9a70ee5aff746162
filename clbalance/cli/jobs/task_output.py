"""Show the output of a job of tasks that was submitted before: each line with its task."""

import re
from collections.abc import Callable

from clbalance.engine.agent.job_messages import TaskFinished
from clbalance.engine.tasks.slot_reader import SlotReader
from clbalance.model import NodeName
from clbalance.model.job_record import Outcome
from clbalance.render.output.streams import JobOutput, task_label

_SLOT = re.compile(r"^[0-9a-f]{32}\.[0-9]+: ")


class ShownSlot(SlotReader):
    """Prints the output of one slot by its tasks.

    `shown` is called for the output of all slots of the job. `warn` gets a node and a warning, whose slot is left out.
    """

    def __init__(self, shown: Callable[[], JobOutput], warn: Callable[[NodeName, str], None], *, err: bool) -> None:
        super().__init__(self)
        self._shown = shown
        self._warn = warn
        self._err = err

    def warned(self, node: NodeName, text: str) -> None:
        self._warn(node, _SLOT.sub("", text))

    def ended(self, outcome: Outcome) -> None:
        self._splitter.close()

    def wrote(self, number: int, stream: str, piece: bytes) -> None:
        """A piece of a task's output, from the splitter."""
        self._shown().write(task_label(number), "stdout" if self._err else stream, piece)

    def finished(self, entry: TaskFinished) -> None:
        """A task has ended, and all its output was shown."""
        self._shown().end(task_label(entry.number))
