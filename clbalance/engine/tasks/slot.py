"""One slot from its request to its end: it is started, gets tasks, and its output is split into that of each task."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from clbalance.engine.agent.admission import Admission, LeaseKeeper
from clbalance.engine.agent.copies import Copies, Copy, FollowMode, Phase
from clbalance.engine.agent.follow import Follow
from clbalance.engine.agent.job_messages import (
    Peers,
    TaskFinished,
    label_of,
    tells_all,
)
from clbalance.engine.agent.launch import LaunchSequence
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.protocol import AgentEvent
from clbalance.engine.services import Services
from clbalance.engine.tasks.slot_reader import SlotReader
from clbalance.model import Measured, NodeName, Request
from clbalance.model.job import JobSpec
from clbalance.model.job_record import Intent, Outcome
from clbalance.model.task import Task
from clbalance.nodeset import fold
from clbalance.ports import Closed, JobInput

FED = FollowMode(streams=("stdout", "stderr", "log"), retire=True, finish=True)
"""How a slot is followed that gets tasks from us."""
FED_UNSEEN = replace(FED, retire=False)
"""The same for output that nobody has seen: its node keeps it."""


_MOST_CHARS = 256 << 10
"""Most characters of task words in one request: sixfold at most as JSON, and an agent takes 4 MiB."""


class SlotListener(Protocol):
    """Is told what happens in slots."""

    def runs(self, slot: "Slot", limits: tuple[str, ...]) -> None:
        """A slot takes tasks now. `limits`: the means by which its limits are kept."""
        ...

    def began(self, slot: "Slot", number: int) -> None:
        """A task is about to be started, by the slot's log."""
        ...

    def returned(self, slot: "Slot", number: int) -> None:
        """A task was not started."""
        ...

    def wrote(self, slot: "Slot", number: int, stream: str, piece: bytes) -> None:
        """A piece of a task's output."""
        ...

    def finished(self, slot: "Slot", entry: TaskFinished) -> None:
        """A task is over, and all its output was passed on."""
        ...

    def warned(self, slot: "Slot", text: str) -> None:
        """A warning for the user."""
        ...

    def over(self, slot: "Slot", outcome: Outcome, *, log_is_whole: bool) -> None:
        """The slot has ended; nothing more follows. If `log_is_whole`, tasks that it omits were not started."""
        ...


class Slot:
    """A slot, named by `job.claim`. The constructor asks the node for it."""

    def __init__(
        self,
        services: Services,
        multiplexer: AgentMultiplexer,
        job: JobSpec,
        answer: Measured,
        *,
        request: Request,
        listener: SlotListener,
        mode: FollowMode = FED,
    ) -> None:
        self.claim = job.claim
        self.node: NodeName = answer.node
        self._services = services
        self._job = job
        self._peers = Peers(nodes=(self.node,), node_list=fold([self.node]), cpus=request.cpus)
        self._copy = Copy(self.node, 0)
        self._copies = Copies(label_of(job), [self._copy], have_work_folder=job.files is not None)
        self._multiplexer = multiplexer
        self._channel = multiplexer.channel(label_of(job))
        self._listener = listener
        self._admission = Admission(
            self._channel,
            self._copies,
            request=request,
            answers={self.node: answer},
            job=job,
            hidden_gpus=services.hidden_gpus,
            for_tasks=True,
        )
        self._follow = Follow(
            self._channel, self._copies, services, _SlotEvents(self, listener), mode, limit_s=job.time_limit_s
        )
        self._leases = LeaseKeeper(self._channel, self._copies, services.clock)
        self._start: LaunchSequence | None = None
        self._finishing = False
        self._is_ending = False
        multiplexer.connect(self._channel, self.on_event)
        self._admission.call()

    def on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        """Handle an event of its node. A slot takes no more tasks once the session of its first agent has closed."""
        self._finishing |= isinstance(event, Closed)
        if self._start is None:
            self._admission.on_event(node, event)
        else:
            self._start.on_event(node, event)

    @property
    def phase(self) -> Phase:
        """The phase of its only copy."""
        return self._copy.phase

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.phase is Phase.ENDED

    @property
    def waits_for_start(self) -> bool:
        """Whether its node has admitted it, and the launch is not recorded yet."""
        return self._start is None and self._admission.is_admitted

    @property
    def takes_tasks(self) -> bool:
        """Whether it can get tasks."""
        return self.phase is Phase.RUNNING and not self._finishing

    @property
    def is_finishing(self) -> bool:
        """Whether it gets no more tasks, and is to end when it has none left."""
        return self._finishing

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end at once."""
        return self._is_ending

    @property
    def intent(self) -> Intent:
        """The launch to record before it is started."""
        return self._copy.intent

    @property
    def folder(self) -> str:
        """The folder of its claim on the node."""
        return self._copy.folder

    @property
    def has_run(self) -> bool:
        """Whether it runs, or has run."""
        return self._copy.started_at is not None

    @property
    def is_settled(self) -> bool:
        """Whether it runs, or has run, and its node answers."""
        return self.phase >= Phase.RUNNING and (self.is_over or self._follow.is_in_touch)

    @property
    def heard_at(self) -> float | None:
        """When its node has last sent something, of this slot or another. None: it is not connected."""
        return self._multiplexer.heard_at(self.node) if self.is_settled else None

    def refusal(self) -> str | None:
        """Why its node has refused it, or has not answered in time. None: neither so far."""
        return self._admission.refusals.get(self.node) if self._start is None else None

    @property
    def unfit(self) -> Mapping[NodeName, str]:
        """Its node with the reason, if that could take no job at all."""
        return self._admission.unfit

    def give_up(self) -> None:
        """Release a slot that was not started. Its agent is told, because it may serve other slots and stay."""
        if Phase.ARRIVING < self.phase < Phase.STARTING:
            self._channel.ask(self.node, "end", job=self._copies.label, grace_s=0, why="not needed")
        self._channel.hang_up(self.node)

    def forget(self) -> None:
        """Receive no more events of this slot."""
        self._multiplexer.forget(self._channel)

    def start(self, stdin: JobInput, inputs: str = "") -> None:
        """Start the slot. Its launch must be recorded already. `inputs`: the folder there that its tasks share."""
        if inputs:
            self._copy.env["CLBALANCE_INPUT_DIR"] = inputs
        self._start = LaunchSequence(
            self._channel,
            self._copies,
            self._job,
            peers=self._peers,
            stdin=stdin,
            follow=self._follow,
            start_within_s=self._services.answer_within_s,
        )
        self._start.begin()

    def feed(self, tasks: Sequence[Task]) -> None:
        """Send more tasks to the slot."""
        for some in in_requests(tasks):
            words = [[task.number, list(task.words)] for task in some]
            self._channel.ask(self.node, "tasks", job=self._copies.label, tasks=words)

    def finish(self) -> None:
        """Send no more tasks: the slot ends when it has done those that it has."""
        if not self._finishing:
            self._finishing = True
            self._channel.ask(self.node, "finish", job=self._copies.label)

    def look_after(self) -> None:
        """Call its node again if the connection is lost and the retry is due. Keep its lease until it is started."""
        if self._start is not None:
            self._follow.is_over()
        else:
            self._leases.keep()

    def end(self, reason: str) -> None:
        """End the running task and the slot."""
        if self._is_ending:
            return
        self._finishing = self._is_ending = True
        if self._start is None:
            self.give_up()
        else:
            self._follow.end_all(reason)

    def abandon(self) -> None:
        """Follow it no further, although it has not ended: its tasks without a known end are unknown."""
        self._follow.give_up()


class _SlotEvents(SlotReader):
    """Translates the events of a job (`RunListener`) into those of a slot and its tasks."""

    def __init__(self, slot: Slot, listener: SlotListener) -> None:
        super().__init__(self)
        self._slot = slot
        self._listener = listener
        self._whole = False

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        self._listener.runs(self._slot, limits)

    def warned(self, node: NodeName, text: str) -> None:
        self._listener.warned(self._slot, text)

    def began(self, number: int) -> None:
        self._listener.began(self._slot, number)

    def returned(self, number: int) -> None:
        self._listener.returned(self._slot, number)

    def log_ended(self) -> None:
        self._whole = True

    def ended(self, outcome: Outcome) -> None:
        self._splitter.close()
        self._listener.over(self._slot, outcome, log_is_whole=tells_all(outcome.end, closed=self._whole))

    def wrote(self, number: int, stream: str, piece: bytes) -> None:
        """A piece of a task's output, from the splitter."""
        self._listener.wrote(self._slot, number, stream, piece)

    def finished(self, entry: TaskFinished) -> None:
        """A task has ended, and all its output was passed on."""
        self._listener.finished(self._slot, entry)


def in_requests(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Split tasks, in order, into requests as large as an agent takes."""
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
