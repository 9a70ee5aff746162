"""Threads, each of which carries out one thing on one node. Their answers come back through one queue."""

import queue
import threading
from collections.abc import Callable
from typing import Protocol, TypeAlias

from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import StepEnded, StepState

Call: TypeAlias = Callable[[threading.Event], StepEnded]
"""Is given the event that ends it soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one call."""

    node: NodeName
    purpose: str
    ended: StepEnded


class Workers(Protocol):
    """Carries out calls, all at once."""

    def begin(self, node: NodeName, purpose: str, call: Call) -> None:
        """Begin a call. `purpose` comes back with its answer."""
        ...

    def next(self, timeout_s: float) -> Answer | None:
        """The next answer; None: there was none within this time."""
        ...

    def stop(self) -> None:
        """Let all calls end soon. Their answers still come."""
        ...


class ThreadWorkers:
    """Each call has a daemon thread of its own: one that hangs does not keep the process alive."""

    def __init__(self) -> None:
        self._answers: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()
        self._stop = threading.Event()

    def begin(self, node: NodeName, purpose: str, call: Call) -> None:
        """Begin a call in a thread."""
        threading.Thread(target=self._carry_out, args=(node, purpose, call), name=f"step {node}", daemon=True).start()

    def _carry_out(self, node: NodeName, purpose: str, call: Call) -> None:
        try:
            ended = call(self._stop)
        except ClbalanceError as error:  # this host fails, not the node: nobody knows how far it came
            ended = StepEnded(state=StepState.UNKNOWN, reason=error.message)
        except Exception as error:  # noqa: BLE001 - a defect of ours: the main thread raises it
            self._answers.put(error)
            return
        self._answers.put(Answer(node=node, purpose=purpose, ended=ended))

    def next(self, timeout_s: float) -> Answer | None:
        """The next answer, in the main thread."""
        try:
            answer = self._answers.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self) -> None:
        """Set the event that all calls look at."""
        self._stop.set()
