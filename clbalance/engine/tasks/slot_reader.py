"""Read the output of a slot again from its node, and split it into that of its tasks."""

from clbalance.engine.agent.job_messages import Began, Returned, SlotLog, TaskFinished, Whole
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.tasks.output import TaskOutputListener, TaskOutputSplitter
from clbalance.model import NodeName


class SlotReader(NullListener):
    """The listener of one slot, whose log is among the streams that are read."""

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
                    self._splitter.began(number)
                case Returned(number=number):
                    self._splitter.returned(number)
                case TaskFinished():
                    self._splitter.finished(entry)
                case Whole():
                    pass
