"""Start a job on the chosen nodes, all or none, and follow it to its end over the sessions that probed them.

Enters: open sessions, a `JobSpec`, nodes. Leaves: one `Outcome` per node, and every piece of output to the listener
on the way. The agent on each node does the work (docs/design/agent.md); nothing is decided here but what to
say next to whom.
"""

import secrets
from collections.abc import Callable
from signal import Signals
from typing import assert_never

from clbalance.engine.agent_wire import (
    CHUNK_BYTES,
    Admitted,
    AgentEvent,
    Claimed,
    Drained,
    Ended,
    Hello,
    Output,
    Refused,
    Resumed,
    Started,
    Stored,
    Trouble,
    bootstrap,
    decode,
    encode,
)
from clbalance.engine.copies import Copy, Phase, end_of, environment, lease_request, start_spec
from clbalance.engine.dispatched import Dispatched
from clbalance.engine.world import World
from clbalance.errors import Interrupted
from clbalance.model import (
    Cancelled,
    End,
    JobSpec,
    Lost,
    Measured,
    NodeName,
    NotStarted,
    Plan,
    Request,
    Script,
    Snapshot,
)
from clbalance.nodes import NodeSets, fold
from clbalance.ports import Closed, JobInput, Line, RunListener, Sessions

PROTOCOL = 1
_START_WITHIN_S = 30.0  # from the agent's bootstrap to the job's first process
_WINDOW_BYTES = 1 << 20  # output per stream that an agent may send ahead of our acknowledgement
_PUTS_IN_FLIGHT = 16
_END_GRACE_S = 1.0  # between TERM and KILL when we are told to stop
_END_WITHIN_S = 1.7  # and then we go, whether or not every node has confirmed
_LINGER_S = 1.0  # for agents to tidy up behind an ended job
_LINGER_STOPPED_S = 0.1


class Dispatch:
    """One job on its nodes, from the first word to the last."""

    def __init__(
        self,
        sessions: Sessions,
        job: JobSpec,
        plan: Plan,
        request: Request,
        *,
        snapshot: Snapshot,
        listener: RunListener,
        stdin: JobInput,
        world: World,
    ) -> None:
        self._sessions = sessions
        self._job = job
        self._listener = listener
        self._clock = world.clock
        self._stdin = stdin
        self._agent_source = world.agent_source
        self._node_list = fold(plan.chosen)
        self._request = request
        # As measured: the plan's own snapshot counts this very job, and the GPUs meant for it are taken there.
        self._answers = {answer.node: answer for answer in snapshot.answers if isinstance(answer, Measured)}
        self._label = f"{job.key}.{job.claim}"
        in_order = NodeSets(None).expand(self._node_list)  # so that rank 2 is the third node of the folded set
        self._copies = {node: Copy(node, rank, secrets.token_hex(16)) for rank, node in enumerate(in_order)}
        self._closed: set[NodeName] = set()
        self._refusals: dict[NodeName, str] = {}
        self._reserving = True
        self._mute = False

    def reserve(self) -> dict[NodeName, str]:
        """Ask every node for its yes. The nodes that said no, and why; if there is one, the others are released."""
        self._send_agents()
        self._listen(lambda: bool(self._refusals) or self._all(Phase.ADMITTED))
        if self._refusals:
            for copy in self._copies.values():
                self._hang_up(copy)
        return self._refusals

    def run(self) -> Dispatched:
        """Start what was reserved and follow it. Told to stop, it ends the job everywhere first."""
        interrupted = None
        self._reserving = False
        try:
            for copy in list(self._copies.values()):
                self._store(copy)
            self._listen(self._all_ended)
        except (Interrupted, BrokenPipeError) as stop:
            interrupted = Signals(stop.signum) if isinstance(stop, Interrupted) else Signals.SIGPIPE
            self._mute = isinstance(stop, BrokenPipeError)
            self._cancel_rest(f"stopped by {interrupted.name}")
            self._listen(self._all_ended, within_s=_END_WITHIN_S)
        for copy in self._unended():
            self._hang_up(copy)
            self._end(copy, Cancelled(why="told to end; the node has not confirmed it"))
        self._listen(self._all_closed, within_s=_LINGER_S if interrupted is None else _LINGER_STOPPED_S)
        outcomes = tuple(copy.outcome(copy.end) for copy in self._copies.values() if copy.end is not None)
        return Dispatched(outcomes=outcomes, interrupted=interrupted)

    # -- hearing ---------------------------------------------------------------------------------

    def _listen(self, enough: Callable[[], bool], within_s: float | None = None) -> None:
        until = None if within_s is None else self._clock.monotonic() + within_s
        while not enough():
            left = 1.0 if until is None else until - self._clock.monotonic()
            if left <= 0:
                return
            event = self._sessions.next(min(1.0, left))
            match event:
                case Line(node=node, text=text):
                    self._hear(node, text)
                case Closed():
                    self._hear_close(event)
                case None:
                    pass
                case _:
                    assert_never(event)

    def _hear(self, node: NodeName, line: bytes) -> None:
        copy = self._copies.get(node)
        if copy is None or copy.phase is Phase.ENDED:
            return
        event = decode(line, copy.nonce)
        if event is not None:
            self._react(copy, event)

    def _hear_close(self, event: Closed) -> None:
        self._closed.add(event.node)
        copy = self._copies.get(event.node)
        if copy is None or copy.phase is Phase.ENDED:
            return
        if copy.phase >= Phase.STARTING:
            self._end(copy, Lost(cause=event.cause, why=event.why))
        else:
            self._refuse(copy, NotStarted(why=event.cause.because(event.why)))

    def _react(self, copy: Copy, event: AgentEvent) -> None:
        match event:
            case Hello():
                self._claim(copy, event)
            case Claimed() | Drained() | Resumed():
                pass
            case Admitted():
                copy.phase = Phase.ADMITTED
            case Stored():
                copy.in_flight -= 1
                self._sessions.set_deadline(copy.node, _START_WITHIN_S)  # it is alive; large input takes its time
                self._put(copy)
            case Started():
                self._started(copy, event)
            case Refused(why=why, rc=rc):
                self._refuse(copy, NotStarted(why=why, rc=rc))
            case Output():
                self._pass_on(copy, event)
            case Ended():
                self._ended(copy, event)
            case Trouble(why=why):
                self._misunderstood(copy, why)
            case _:
                assert_never(event)

    def _misunderstood(self, copy: Copy, why: str) -> None:
        """Before the node has said yes, a request that it cannot make sense of is a no: nothing else would follow."""
        if self._reserving:
            self._refuse(copy, NotStarted(why=why))
        else:
            self._warn(copy, why)

    def _pass_on(self, copy: Copy, event: Output) -> None:
        if not self._mute:
            self._listener.output(copy.node, event.stream, event.data)
        self._ask(copy, "ack", stream=event.stream, offset=event.offset + len(event.data))

    def _ended(self, copy: Copy, event: Ended) -> None:
        copy.seconds = event.seconds
        for warning in event.warnings:
            self._warn(copy, warning)
        self._ask(copy, "forget", last=True)
        self._end(copy, end_of(event, self._job))

    # -- speaking --------------------------------------------------------------------------------

    def _send_agents(self) -> None:
        open_nodes = self._sessions.open_nodes()
        for copy in self._copies.values():
            if copy.node in open_nodes:
                self._sessions.set_deadline(copy.node, _START_WITHIN_S)
            else:
                self._sessions.open(copy.node, within_s=_START_WITHIN_S)
            self._sessions.send(copy.node, bootstrap(copy.nonce, self._agent_source))

    def _claim(self, copy: Copy, hello: Hello) -> None:
        if hello.protocol != PROTOCOL:
            self._refuse(copy, NotStarted(why=f"the agent speaks protocol {hello.protocol}, not {PROTOCOL}"))
            return
        copy.phase = Phase.CLAIMING
        self._ask(copy, "claim")
        answer = self._answers[copy.node]
        lease = lease_request(self._request, answer, self._job.name)
        self._ask(copy, "admit", lease=lease, capacity={"cpus": None, "slots": answer.slots})

    def _store(self, copy: Copy) -> None:
        copy.phase = Phase.STORING
        copy.unsent = ["script", "stdin"] if isinstance(self._job.work, Script) else ["stdin"]
        self._put(copy)

    def _put(self, copy: Copy) -> None:
        """Send the next pieces of its files, a bounded number ahead of the node; start when all are on their way."""
        while copy.phase is Phase.STORING and copy.in_flight < _PUTS_IN_FLIGHT:
            if not copy.unsent:
                copy.phase = Phase.READY
                self._start_when_all_are_ready()
                return
            piece = self._piece(copy.unsent[0], copy.offset)
            if piece:
                self._ask(copy, "put", file=copy.unsent[0], data=piece)
                copy.offset += len(piece)
                copy.in_flight += 1
            else:
                del copy.unsent[0]
                copy.offset = 0

    def _piece(self, file: str, offset: int) -> bytes:
        if file == "script" and isinstance(self._job.work, Script):
            return self._job.work.content[offset : offset + CHUNK_BYTES]
        return self._stdin.read(offset, CHUNK_BYTES)

    def _start_when_all_are_ready(self) -> None:
        if not self._all(Phase.READY):
            return
        for copy in self._copies.values():
            copy.phase = Phase.STARTING
            env = environment(self._job, copy, self._node_list, len(self._copies))
            self._ask(copy, "start", spec=start_spec(self._job, env))
            self._ask(copy, "follow", window=_WINDOW_BYTES)

    def _started(self, copy: Copy, event: Started) -> None:
        copy.phase = Phase.RUNNING
        copy.started_at = self._clock.monotonic()
        self._sessions.set_deadline(copy.node, None)
        for warning in event.warnings:
            self._warn(copy, warning)

    def _refuse(self, copy: Copy, end: NotStarted) -> None:
        """Everywhere or nowhere: one refusal takes the others with it."""
        if self._reserving:
            self._refusals[copy.node] = end.why
            return
        self._hang_up(copy)
        self._end(copy, end)
        self._cancel_rest(f"it could not start on {copy.node}")

    def _cancel_rest(self, why: str) -> None:
        for copy in self._unended():
            if copy.phase >= Phase.STARTING:
                self._ask(copy, "end", grace_s=_END_GRACE_S, why=why)
            else:
                self._hang_up(copy)
                self._end(copy, Cancelled(why=why))

    def _end(self, copy: Copy, end: End) -> None:
        copy.phase = Phase.ENDED
        copy.end = end
        if copy.started_at is not None and not copy.seconds:
            copy.seconds = self._clock.monotonic() - copy.started_at
        self._listener.ended(copy.outcome(end))

    def _hang_up(self, copy: Copy) -> None:
        self._sessions.close(copy.node)
        self._closed.add(copy.node)

    def _warn(self, copy: Copy, text: str) -> None:
        copy.warnings.append(text)
        self._listener.warned(copy.node, text)

    def _ask(self, copy: Copy, op: str, *, last: bool = False, **fields: object) -> None:
        self._sessions.send(copy.node, encode(op, job=self._label, **fields), last=last)

    def _unended(self) -> list[Copy]:
        return [copy for copy in self._copies.values() if copy.phase is not Phase.ENDED]

    def _all(self, phase: Phase) -> bool:
        return all(copy.phase is phase for copy in self._copies.values())

    def _all_ended(self) -> bool:
        return not self._unended()

    def _all_closed(self) -> bool:
        return self._closed.issuperset(self._copies)
