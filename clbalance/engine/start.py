"""Bring a job's files to its nodes, and order the start when all of them have everything."""

from dataclasses import field

from clbalance.engine.agent_wire import CHUNK_BYTES, AgentEvent, Stored
from clbalance.engine.agents import Agents
from clbalance.engine.copies import Copies, Copy, Phase
from clbalance.engine.follow import Follow
from clbalance.engine.job_words import environment, start_spec
from clbalance.engine.reserve import START_WITHIN_S
from clbalance.engine.switchboard import SharedAgents
from clbalance.job import JobSpec, Script
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.ports import Closed, JobInput

_PUTS_IN_FLIGHT = 16


@dataclass(slots=True)
class _Load:
    """What one copy is still to be sent: the files, the current one first, and how far it has come."""

    unsent: list[str] = field(default_factory=list)
    offset: int = 0
    in_flight: int = 0


class Start:
    """Everywhere or nowhere: what goes wrong before the last node is ready goes to `follow`, which ends the rest."""

    def __init__(
        self,
        agents: Agents | SharedAgents,
        copies: Copies,
        job: JobSpec,
        *,
        node_list: str,
        stdin: JobInput,
        follow: Follow,
    ) -> None:
        self._agents = agents
        self._copies = copies
        self._job = job
        self._node_list = node_list
        self._stdin = stdin
        self._follow = follow
        self._script = job.work.content if isinstance(job.work, Script) else None
        assert self._script is not None or not isinstance(job.work, Script), "who starts a script has read it"
        files = ["stdin"] if self._script is None else ["script", "stdin"]
        self._loads = {copy.node: _Load(list(files)) for copy in copies}

    def order(self) -> None:
        """Returns when every node was told to start, or none will be."""
        self.begin()
        self._agents.listen(self.hear, lambda: all(copy.phase >= Phase.STARTING for copy in self._copies))

    def begin(self) -> None:
        """Send what the nodes take at once."""
        for copy in self._copies:
            copy.phase = Phase.STORING
            self._put(copy)

    def hear(self, node: NodeName, event: AgentEvent | Closed) -> None:
        """News of one node; what does not concern the files is for the follower."""
        if isinstance(event, Stored) and node in self._loads:
            self._loads[node].in_flight -= 1
            self._agents.set_deadline(node, START_WITHIN_S)  # it is alive; large input takes its time
            self._put(self._copies[node])
        else:
            self._follow.hear(node, event)

    def _put(self, copy: Copy) -> None:
        """Send the next pieces of its files, a bounded number ahead of the node; start when all are on their way."""
        load = self._loads[copy.node]
        while copy.phase is Phase.STORING and load.in_flight < _PUTS_IN_FLIGHT:
            if not load.unsent:
                copy.phase = Phase.READY
                self._start_when_all_are_ready()
                return
            piece = self._piece(load.unsent[0], load.offset)
            if piece:
                self._agents.ask(copy.node, "put", job=self._copies.label, file=load.unsent[0], data=piece)
                load.offset += len(piece)
                load.in_flight += 1
            else:
                del load.unsent[0]
                load.offset = 0

    def _piece(self, file: str, offset: int) -> bytes:
        if file == "script" and self._script is not None:
            return self._script[offset : offset + CHUNK_BYTES]
        return self._stdin.read(offset, CHUNK_BYTES)

    def _start_when_all_are_ready(self) -> None:
        if not self._copies.all_in(Phase.READY):
            return
        for copy in self._copies:
            copy.phase = Phase.STARTING
            env = environment(self._job, copy.node, copy.rank, node_list=self._node_list, node_count=len(self._copies))
            self._agents.ask(copy.node, "start", job=self._copies.label, spec=start_spec(self._job, env))
            self._follow.ask_for_output(copy)
