"""Get a lease on every node of a job, send its files there, and start it: on all nodes, or on none."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from clbalance.engine.agent.copies import Copies, Copy, Phase
from clbalance.engine.agent.follow import Follow
from clbalance.engine.agent.job_messages import Peers, environment, holding_spec, lease_request, start_spec
from clbalance.engine.agent.multiplexer import AgentChannel
from clbalance.engine.agent.protocol import (
    CHUNK_BYTES,
    Admitted,
    AgentError,
    AgentEvent,
    Claimed,
    Hello,
    Refused,
    Stored,
)
from clbalance.engine.agent.sessions import PROTOCOL, Agents, OnEvent
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, Measured, NodeName, Request
from clbalance.model.job import JobSpec, Script
from clbalance.model.job_record import NotStarted
from clbalance.model.request import HiddenGpus
from clbalance.policy.placement.gpu_choice import mps_limits, unread_gpus
from clbalance.ports import Clock, Closed, JobInput, SweepListener

if TYPE_CHECKING:  # few jobs have files that travel
    from clbalance.engine.files.sending import Sending

KEEP_EVERY_S = 10.0
"""A third of the time for which a node keeps a lease that is not started."""


_UNFIT_KINDS = frozenset({"storage", "node_dir"})
UNFIT_CAUSES = frozenset({Cause.PYTHON, Cause.STORAGE})
"""Refusals that every other job would get as well."""


class LeaseKeeper:
    """Keeps the leases of copies that wait for other copies of their job, however long those take."""

    def __init__(self, agents: Agents | AgentChannel, copies: Copies, clock: Clock) -> None:
        self._agents = agents
        self._copies = copies
        self._clock = clock
        self._at = clock.monotonic() + KEEP_EVERY_S

    def keep(self) -> None:
        """Ask the nodes of all copies that wait, now and then."""
        now = self._clock.monotonic()
        if now < self._at:
            return
        self._at = now + KEEP_EVERY_S
        for copy in self._copies:
            if copy.phase in (Phase.ADMITTED, Phase.READY):
                self._agents.ask(copy.node, "keep", job=self._copies.label)


class Admission:
    """Requests folders and leases for the copies of one claim, before anything is started."""

    def __init__(
        self,
        agents: Agents | AgentChannel,
        copies: Copies,
        *,
        request: Request,
        answers: Mapping[NodeName, Measured],
        name: str,
        hidden_gpus: HiddenGpus,
        for_tasks: bool = False,
        allocation_limits: Mapping[NodeName, float] | None = None,
    ) -> None:
        self._agents = agents
        self._copies = copies
        self._request = request
        self._answers = answers
        self._name = name
        self._hidden_gpus = hidden_gpus
        self._for_tasks = for_tasks
        self._allocation_limits = allocation_limits or {}
        self.refusals: dict[NodeName, str] = {}
        """The nodes that refused, and why."""
        self.crowded: dict[NodeName, float] = {}
        """Of those, the nodes that others filled first, with the CPUs allocated there by now."""
        self.unfit: dict[NodeName, str] = {}
        """Of those, the nodes that could take no job at all, and why."""

    def admit(self, listener: SweepListener, clock: Clock) -> dict[NodeName, str]:
        """Ask all nodes, and return the refusals. If there is one, the other nodes are released."""
        leases = LeaseKeeper(self._agents, self._copies, clock)

        def is_decided() -> bool:
            leases.keep()
            listener.awaiting([copy.node for copy in self._copies if copy.phase < Phase.ADMITTED])
            return bool(self.refusals) or self.is_admitted

        self.call()
        listener.asked(len(self._copies))
        try:
            self._agents.listen(self.on_event, is_decided)
        finally:
            listener.done()
        if self.refusals:
            for copy in self._copies:
                self._agents.hang_up(copy.node)
        return self.refusals

    def call(self) -> None:
        """Ask all nodes."""
        for copy in self._copies:
            self._agents.call(copy.node)

    @property
    def is_admitted(self) -> bool:
        """Whether all nodes have granted their leases."""
        return self._copies.all_in(Phase.ADMITTED)

    def on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        """News of one node."""
        if node not in self._copies:
            return
        copy = self._copies[node]
        match event:
            case Hello(protocol=protocol):
                self._claim(copy, protocol)
            case Claimed(boot_id=boot_id, incarnation=incarnation, folder=folder) if not copy.boot_id:
                copy.boot_id, copy.incarnation, copy.folder = boot_id, incarnation, folder
                self._agents.expect(node, "admit")
            case Admitted(gpus=gpus, port=port):
                copy.phase, copy.port = Phase.ADMITTED, port
                copy.env.update(mps_limits(self._answers[node], gpus, self._request.gpu_share))
                self._agents.answered(node)
            case Refused(promised_cpus=float(cpus), reason=reason):
                self.crowded[node], self.refusals[node] = cpus, reason
            case Refused(kind=kind, reason=reason) if kind in _UNFIT_KINDS:
                self.unfit[node] = self.refusals[node] = reason
            case (
                Refused(reason=reason) | AgentError(reason=reason)
            ):  # an error counts as a refusal: no other answer follows
                self.refusals[node] = reason
            case Closed(cause=cause, reason=reason):
                self.refusals[node] = cause.because(reason)
                if cause in UNFIT_CAUSES:
                    self.unfit[node] = self.refusals[node]
            case _:
                pass  # nothing else is asked for yet

    def _claim(self, copy: Copy, protocol: int) -> None:
        if protocol != PROTOCOL:
            self.refusals[copy.node] = f"the agent speaks protocol {protocol}, not {PROTOCOL}"
            return
        copy.phase = Phase.CLAIMING
        answer = self._answers[copy.node]
        lease = lease_request(self._request, answer, self._name, self._hidden_gpus)
        if unread := unread_gpus(answer, self._request, self._hidden_gpus):
            copy.untold = [f"all GPUs are visible to the job, because their state could not be read: {unread}"]
        self._agents.ask(copy.node, "claim", job=self._copies.label, work=self._copies.have_work_folder)
        promised_cpus = self._allocation_limits.get(copy.node)
        capacity = {"cpus": None, "slots": answer.slots, "promised_cpus": promised_cpus}
        asked: dict[str, Any] = {"lease": lease, "capacity": capacity, "tasks": self._for_tasks}
        self._agents.ask(copy.node, "admit", job=self._copies.label, **asked)
        self._agents.expect(copy.node, "claim")


# Send a job's files to its nodes, and order the start once all nodes have everything.

_PUTS_IN_FLIGHT = 16
_TELL_EVERY_S = 0.25  # which nodes are waited for


@dataclass(slots=True)
class _Upload:
    """The files that one copy still needs, the current one first, and the offset in that."""

    unsent: list[str] = field(default_factory=list)
    offset: int = 0
    in_flight: int = 0


class LaunchSequence:
    """Starts all copies or none: errors before the last node is ready go to `follow`, which ends the others."""

    def __init__(
        self,
        agents: Agents | AgentChannel,
        copies: Copies,
        job: JobSpec,
        *,
        peers: Peers,
        stdin: JobInput,
        follow: Follow,
        start_within_s: float,
        sending: "Sending | None" = None,
    ) -> None:
        """`start_within_s`: from the order to start to the program's first process, in which it may enter folders.

        `sending`: of the files that travel with the job.
        """
        self._agents = agents
        self._copies = copies
        self._job = job
        self._peers = peers
        self._stdin = stdin
        self._follow = follow
        self._start_within_s = start_within_s
        self._sending = sending
        self._script = job.payload.content if isinstance(job.payload, Script) else None
        assert self._script is not None or not isinstance(job.payload, Script), "who starts a script has read it"
        files = ["stdin"] if self._script is None else ["script", "stdin"]
        self._uploads = {copy.node: _Upload(list(files)) for copy in copies}

    def order(self, listener: SweepListener, clock: Clock) -> None:
        """Returns when every node was told to start, or the start has failed on all."""
        leases = LeaseKeeper(self._agents, self._copies, clock)

        def is_ordered() -> bool:
            leases.keep()
            self._look_at_sending()
            return all(copy.phase >= Phase.STARTING for copy in self._copies)

        self.begin()
        try:
            self._listen(self.on_event, is_ordered, Phase.READY, listener, clock)
        finally:
            if self._sending is not None:
                self._sending.stop()

    def await_starts(self, listener: SweepListener, clock: Clock) -> None:
        """Follow until every copy has started, or one has printed something: nothing may be drawn into its output."""

        def is_over() -> bool:
            return self._follow.is_over() or self._follow.all_started or any(copy.received for copy in self._copies)

        self._listen(self._follow.on_event, is_over, Phase.RUNNING, listener, clock)

    def _listen(
        self, on_event: OnEvent, is_over: Callable[[], bool], phase: Phase, listener: SweepListener, clock: Clock
    ) -> None:
        """Pass on events until `is_over()`. `listener` is told which nodes are not in `phase` yet."""
        tell_at = 0.0

        def look() -> bool:
            nonlocal tell_at
            if is_over():
                return True
            if (now := clock.monotonic()) >= tell_at:
                tell_at = now + _TELL_EVERY_S
                listener.awaiting([copy.node for copy in self._copies if copy.phase < phase])
            return False

        def hear(node: NodeName, event: AgentEvent | Closed) -> None:
            if not isinstance(event, Stored):
                listener.done()  # the event may be shown
            on_event(node, event)

        listener.asked(len(self._copies))
        try:
            self._agents.listen(hear, look)
        finally:
            listener.done()

    def begin(self) -> None:
        """Send the first pieces."""
        if self._sending is not None:
            self._sending.begin({copy.node: copy.folder for copy in self._copies})
        for copy in self._copies:
            copy.phase = Phase.STORING
            self._put(copy)

    def _look_at_sending(self) -> None:
        """Take note of the end of the sending. It may take long, so a cancel is heeded meanwhile."""
        if self._sending is None:
            return
        self._follow.is_over()
        sent = self._sending.take_result()
        if sent is None:
            return
        for copy in self._copies:
            copy.untold += sent.warnings
            if (reason := sent.failures.get(copy.node)) and copy.phase < Phase.STARTING:
                copy.may_start_elsewhere = not sent.is_ours
                self._follow.not_started(copy, NotStarted(reason=reason))
        self._start_if_all_ready()

    def on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        """Handle an event of one node; those that do not concern files go to `follow`."""
        if isinstance(event, Stored) and node in self._uploads:
            self._stored(self._copies[node])
        else:
            self._follow.on_event(node, event)

    def _stored(self, copy: Copy) -> None:
        load = self._uploads[copy.node]
        if load.in_flight:
            load.in_flight -= 1
            if load.in_flight:
                self._agents.expect(copy.node, "put")
            else:
                self._agents.answered(copy.node)
            self._put(copy)

    def _put(self, copy: Copy) -> None:
        """Send the next pieces, a bounded number ahead of the node's answers. Start once all of all copies are sent."""
        load = self._uploads[copy.node]
        while copy.phase is Phase.STORING and load.in_flight < _PUTS_IN_FLIGHT:
            if not load.unsent:
                copy.phase = Phase.READY
                self._start_if_all_ready()
                return
            piece = self._piece(load.unsent[0], load.offset)
            if piece:
                self._agents.ask(copy.node, "put", job=self._copies.label, file=load.unsent[0], data=piece)
                self._agents.expect(copy.node, "put")
                load.offset += len(piece)
                load.in_flight += 1
            else:
                del load.unsent[0]
                load.offset = 0

    def _piece(self, file: str, offset: int) -> bytes:
        if file == "script" and self._script is not None:
            return self._script[offset : offset + CHUNK_BYTES]
        return self._stdin.read(offset, CHUNK_BYTES)

    def _start_if_all_ready(self) -> None:
        if not self._copies.all_in(Phase.READY) or (self._sending is not None and not self._sending.is_done):
            return
        for copy in self._copies:
            copy.phase = Phase.STARTING
            self._agents.ask(copy.node, "start", job=self._copies.label, spec=self._spec(copy))
            self._follow.ask_for_output(copy)
            self._agents.expect(copy.node, "start", within_s=self._start_within_s)

    def _spec(self, copy: Copy) -> dict[str, object]:
        if self._job.first_node and copy.rank:
            return holding_spec(self._job)
        peers = self._peers
        env = environment(self._job, copy.node, copy.rank, peers=peers, port=self._copies[peers.nodes[0]].port)
        hosts = "" if self._job.slots else peers.hosts
        fed = self._stdin.live is not None
        return start_spec(self._job, copy.env | env, hosts=hosts, fed=fed, folder=copy.folder)
