"""Send a job's files to its nodes, and order the start once all nodes have everything: on all nodes, or on none."""

from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING

from clbalance.engine.agent.admission import LeaseKeeper
from clbalance.engine.agent.copies import Copies, Copy, Phase
from clbalance.engine.agent.follow import Follow
from clbalance.engine.agent.job_messages import Peers, environment, holding_spec, start_spec
from clbalance.engine.agent.multiplexer import AgentChannel
from clbalance.engine.agent.protocol import CHUNK_BYTES, AgentEvent, Stored
from clbalance.engine.agent.sessions import Agents, OnEvent
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import JobSpec, Script
from clbalance.model.job_record import NotStarted
from clbalance.ports import Clock, Closed, JobInput, SweepListener

if TYPE_CHECKING:  # few jobs have files that travel
    from clbalance.engine.files.sending import Sending

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
            if (now := clock.monotonic()) >= tell_at and not self._is_sending:
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

    @property
    def _is_sending(self) -> bool:
        """Whether files are on their way, whose progress is shown."""
        return self._sending is not None and not self._sending.is_done

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
        if not self._copies.all_in(Phase.READY) or self._is_sending:
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
