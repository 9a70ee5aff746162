"""Read what a slot prints and logs, and split it into the output of its tasks."""

from typing import assert_never

from clbalance.engine.agent.job_messages import Began, Returned, SlotLog, TaskFinished, Whole
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.tasks.output import TaskOutputListener, TaskOutputSplitter
from clbalance.model import NodeName


class SlotReader(NullListener):
    """The listener of one slot, whose log is among the streams that are read.

    Whoever wants to know more of the log than the output of its tasks overrides `began`, `returned` and `log_ended`.
    """

    def __init__(self, listener: TaskOutputListener) -> None:
        self._log = SlotLog()
        self._splitter = TaskOutputSplitter(listener)

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        if stream != "log":
            self._splitter.write(stream, piece)
            return
        for entry in self._log.feed(piece):
            match entry:
                case Began(number=number):
                    self.began(number)
                    self._splitter.began(number)
                case Returned(number=number):
                    self._splitter.returned(number)
                    self.returned(number)
                case TaskFinished():
                    self._splitter.finished(entry)
                case Whole():
                    self.log_ended()
                case _:
                    assert_never(entry)

    def began(self, number: int) -> None:
        """A task is about to be started."""

    def returned(self, number: int) -> None:
        """A task was not started."""

    def log_ended(self) -> None:
        """The log is whole: nothing follows in it."""
