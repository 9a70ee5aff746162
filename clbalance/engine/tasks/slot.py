"""One slot on its way: asked for, started, fed with tasks, over; its output cut into that of its tasks."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol, assert_never

from clbalance.engine.agent.copies import Copies, Copy, FollowMode, Phase
from clbalance.engine.agent.follow import Follow
from clbalance.engine.agent.job_messages import Began, Returned, SlotLog, TaskFinished, Whole, label_of, tells_all
from clbalance.engine.agent.launch import START_WITHIN_S, Admission, LaunchSequence
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.protocol import AgentEvent
from clbalance.engine.services import Services
from clbalance.model import Measured, NodeName, Request
from clbalance.model.job import JobSpec
from clbalance.model.job_record import Intent, Outcome
from clbalance.model.task import Task
from clbalance.ports import Closed, JobInput

FED = FollowMode(streams=("stdout", "stderr", "log"), retire=True, finish=True)
"""What we want of a slot that we feed."""


_MOST_CHARS = 256 << 10
"""Of words in one request: at worst sixfold as JSON, and an agent takes 4 MiB."""


class SlotListener(Protocol):
    """Who is told what happens in slots."""

    def runs(self, slot: "Slot", limits: tuple[str, ...]) -> None:
        """It takes tasks; by what its limits are kept."""
        ...

    def began(self, slot: "Slot", number: int) -> None:
        """Its log tells that a task is going to be started."""
        ...

    def returned(self, slot: "Slot", number: int) -> None:
        """A task was not started."""
        ...

    def wrote(self, slot: "Slot", number: int, stream: str, piece: bytes) -> None:
        """A piece of a task's output."""
        ...

    def finished(self, slot: "Slot", entry: TaskFinished) -> None:
        """A task is over, and all its output was told."""
        ...

    def warned(self, slot: "Slot", text: str) -> None:
        """Something that the user should know."""
        ...

    def over(self, slot: "Slot", outcome: Outcome, *, log_is_whole: bool) -> None:
        """The slot has ended, and nothing more will come of it. What a whole log does not tell of was not started."""
        ...


class Slot:
    """`job.claim` is its name. Asked for when it is made."""

    def __init__(
        self,
        services: Services,
        multiplexer: AgentMultiplexer,
        job: JobSpec,
        answer: Measured,
        *,
        request: Request,
        hearer: SlotListener,
    ) -> None:
        self.claim = job.claim
        self.node: NodeName = answer.node
        self._services = services
        self._job = job
        self._copies = Copies(label_of(job), [Copy(self.node, 0)])
        self._multiplexer = multiplexer
        self._line = multiplexer.channel(label_of(job))
        self._hearer = hearer
        self._admission = Admission(
            self._line, self._copies, request=request, answers={self.node: answer}, name=job.name, for_tasks=True
        )
        self._until = services.clock.monotonic() + START_WITHIN_S
        self._follow = Follow(self._line, self._copies, services, _Ears(self, hearer), FED, limit_s=job.time_limit_s)
        self._start: LaunchSequence | None = None
        self._finishing = False
        self._is_ending = False
        multiplexer.connect(self._line, self.on_event)
        self._admission.call()

    def on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        """News of its node. Without the agent that started it, a slot takes no more."""
        self._finishing |= isinstance(event, Closed)
        if self._start is None:
            self._admission.on_event(node, event)
        else:
            self._start.on_event(node, event)

    @property
    def phase(self) -> Phase:
        """How far it has come."""
        return self._copies[self.node].phase

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.phase is Phase.ENDED

    @property
    def waits_for_start(self) -> bool:
        """Whether its node has promised what it needs, and nothing is written down yet."""
        return self._start is None and self._admission.is_admitted

    @property
    def takes_tasks(self) -> bool:
        """Whether it can be fed."""
        return self.phase is Phase.RUNNING and not self._finishing

    @property
    def intent(self) -> Intent:
        """What is written down before it is started."""
        return self._copies[self.node].intent

    def refusal(self) -> str | None:
        """Why its node has said no, or has said nothing for too long; None: it has not, so far."""
        if self._start is None and self._admission.refusals:
            return self._admission.refusals[self.node]
        if self.phase < Phase.RUNNING and self._services.clock.monotonic() > self._until:
            return "no answer in time"
        return None

    def give_up(self) -> None:
        """It was not started; hold nothing of it. Its agent may serve others, and is told."""
        if Phase.ARRIVING < self.phase < Phase.STARTING:
            self._line.ask(self.node, "end", job=self._copies.label, grace_s=0, why="not needed")
        self._line.hang_up(self.node)

    def forget(self) -> None:
        """Hear nothing of it any more."""
        self._multiplexer.forget(self._line)

    def start(self, stdin: JobInput, node_list: str) -> None:
        """It is written down that it will be."""
        self._until = self._services.clock.monotonic() + START_WITHIN_S
        self._start = LaunchSequence(
            self._line, self._copies, self._job, node_list=node_list, stdin=stdin, follow=self._follow
        )
        self._start.begin()

    def feed(self, tasks: Sequence[Task]) -> None:
        """Put these behind what it has."""
        for some in in_requests(tasks):
            words = [[task.number, list(task.words)] for task in some]
            self._line.ask(self.node, "tasks", job=self._copies.label, tasks=words)

    def finish(self) -> None:
        """No more will come: it ends when it has done what it has."""
        if not self._finishing:
            self._finishing = True
            self._line.ask(self.node, "finish", job=self._copies.label)

    def look_after(self) -> None:
        """Call its node again, where the connection is lost and it is time."""
        if self._start is not None:
            self._follow.is_over()

    def end(self, reason: str) -> None:
        """End what runs there, and take no more."""
        if self._is_ending:
            return
        self._finishing = self._is_ending = True
        if self._start is None:
            self.give_up()
        else:
            self._follow.end_all(reason)


class _Ears(NullListener):
    """Hears a slot as a job is heard, and tells of its tasks."""

    def __init__(self, slot: Slot, hearer: SlotListener) -> None:
        self._slot = slot
        self._hearer = hearer
        self._log = SlotLog()
        self._splitter = TaskOutputSplitter(self)
        self._whole = False

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        self._hearer.runs(self._slot, limits)

    def warned(self, node: NodeName, text: str) -> None:
        self._hearer.warned(self._slot, text)

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        if stream != "log":
            self._splitter.write(stream, piece)
            return
        for entry in self._log.feed(piece):
            match entry:
                case Began(number=number):
                    self._hearer.began(self._slot, number)
                    self._splitter.began(number)
                case Returned(number=number):
                    self._splitter.returned(number)
                    self._hearer.returned(self._slot, number)
                case TaskFinished():
                    self._splitter.finished(entry)
                case Whole():
                    self._whole = True
                case _:
                    assert_never(entry)

    def ended(self, outcome: Outcome) -> None:
        self._splitter.close()
        self._hearer.over(self._slot, outcome, log_is_whole=tells_all(outcome.end, closed=self._whole))

    def wrote(self, number: int, stream: str, piece: bytes) -> None:
        self._hearer.wrote(self._slot, number, stream, piece)

    def finished(self, entry: TaskFinished) -> None:
        self._hearer.finished(self._slot, entry)


def in_requests(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """In their order, as many together as an agent takes at once."""
    some: list[Task] = []
    chars = 0
    for task in tasks:
        length = sum(map(len, task.words))
        if some and chars + length > _MOST_CHARS:
            yield some
            some, chars = [], 0
        some.append(task)
        chars += length
    if some:
        yield some


# A slot's output, cut into that of its tasks. Pure but for who is told.


class TaskOutputListener(Protocol):
    """Who is told of tasks."""

    def wrote(self, number: int, stream: str, piece: bytes) -> None:
        """A piece of what a task has written."""
        ...

    def finished(self, entry: TaskFinished) -> None:
        """It has ended, and all that it has written was told."""
        ...


class TaskOutputSplitter:
    """The tasks of a slot run one after the other, and an agent tells the end of one before what the next has written.

    So what lies beyond the last known end is the running task's.
    """

    def __init__(self, hearer: TaskOutputListener) -> None:
        self._hearer = hearer
        self._running: deque[int] = deque()
        self._ended: deque[TaskFinished] = deque()
        self._at = {"stdout": 0, "stderr": 0}

    def began(self, number: int) -> None:
        """It is running, or the next to run."""
        self._running.append(number)

    def returned(self, number: int) -> None:
        """It will not run here."""
        if number in self._running:
            self._running.remove(number)

    def finished(self, entry: TaskFinished) -> None:
        """The log tells of its end; its output may still be on its way."""
        self.returned(entry.number)
        self._ended.append(entry)
        self._tell()

    def write(self, stream: str, piece: bytes) -> None:
        """The next piece of a stream, in order."""
        at = self._at[stream]
        for entry in self._ended:
            end = entry.stdout if stream == "stdout" else entry.stderr
            if piece and end > at:
                self._hearer.wrote(entry.number, stream, piece[: end - at])
                at, piece = min(end, at + len(piece)), piece[end - at :]
        if piece and self._running:
            self._hearer.wrote(self._running[0], stream, piece)
        self._at[stream] = at + len(piece)
        self._tell()

    def close(self) -> None:
        """No more will come: what was said to have been written, and was not, is not waited for."""
        while self._ended:
            self._hearer.finished(self._ended.popleft())

    def _tell(self) -> None:
        while self._ended and self._all_here(self._ended[0]):
            self._hearer.finished(self._ended.popleft())

    def _all_here(self, entry: TaskFinished) -> bool:
        return self._at["stdout"] >= entry.stdout and self._at["stderr"] >= entry.stderr
