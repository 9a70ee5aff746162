"""Send requests to agents on nodes and receive their events, over open or new sessions."""

import json
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import field, replace
from typing import Any, Final, TypeAlias, TypeVar, assert_never

from clbalance.engine.agent.bootstrap import bootstrap
from clbalance.engine.agent.early import EarlyAgents
from clbalance.engine.agent.protocol import AgentEvent, Hello, decode, encode
from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.ports import Closed, Line, SessionEvent, Sessions
from clbalance.random_hex import random_hex

PROTOCOL = 2

OnEvent: TypeAlias = Callable[[NodeName, AgentEvent | Closed], None]
"""Is called with each event of an agent, and when a session has ended."""

LOOK_AGAIN_S = 1.0
_NOT_ROOT: Final = "only root there may do that to other users' jobs; `-l root` logs in as root"
_PING: Final = "ping"
_SYNTAX_ERROR: Final = re.compile(r"[Ss]yntax error|sh: line [0-9]+: `")
"""In the last line that a shell prints if it did not get the whole of what was sent; the latter is bash's."""
_ENDED_BY_SIGNAL: Final = re.compile(r"ended with 255 without a message")
"""What the transport says if a signal ended the program on the node; a connection that breaks leaves a message."""
_INPUT_TAKEN: Final = "a start-up file of the login shell there reads standard input: `clbalance doctor` tells more"
_MOST_NOISE_BYTES: Final = 1 << 20
"""From one agent's session, of lines that are not the agent's. The output of a login profile is far shorter."""
_MOST_UNASKED_BYTES: Final = 256 << 20
"""From one agent since it was last asked anything. Its jobs' output is limited by our acknowledgements, to far less."""
_LINE_COST_BYTES: Final = 64
"""That each line counts on top of its length, so that short lines are limited, too."""


@dataclass(slots=True)
class _Expected:
    """An answer that a node owes us."""

    step: str
    within_s: float
    until: float


@dataclass(slots=True)
class _Link:
    """What we know of the agent on one node. It marks its lines with `nonce`."""

    nonce: str
    heard_at: float
    is_up: bool = False
    """It has said hello, and was not told to exit."""
    has_greeted: bool = False
    expected: dict[str, _Expected] = field(default_factory=dict)
    """The answers that it owes, by the label of the claim that they are for; "" if there is only one claim."""
    noise_bytes: int = 0
    unasked_bytes: int = 0


class Agents:
    """One agent per node, each with the answers that it owes. Who is late is hung up on, and named with the step.

    An agent that has nothing to tell is asked for a sign of life now and then: a job may be silent for days, but an
    agent that hangs would never tell its end. `overhear` gets every event first, also those of nodes without an agent.
    `early`: agents that were sent with the probe.
    """

    def __init__(
        self,
        sessions: Sessions,
        services: Services,
        overhear: Callable[[SessionEvent], object] = lambda _: None,
        early: EarlyAgents | None = None,
    ) -> None:
        self._sessions = sessions
        self._overhear = overhear
        self._early = early
        self._heard_early: deque[SessionEvent] = deque()
        self._source = services.agent_source
        self._owner = services.owner
        self._clock = services.clock
        self._show_unfinished = services.show_unfinished
        self._answer_within_s = services.answer_within_s
        self._step_within_s = services.step_within_s
        self._links: dict[NodeName, _Link] = {}
        self._look_at = 0.0

    def call(self, node: NodeName) -> None:
        """Send an agent to a node, over the open session or a new one. It must say hello in the time for an answer."""
        early = None if self._early is None else self._early.take(node)
        nonce = random_hex() if early is None else early.nonce
        self._links[node] = _Link(nonce, self._clock.monotonic())
        if node in self._sessions.open_nodes():
            self.expect(node, "the start of python3", within_s=self._answer_within_s)
        else:
            self._sessions.open(node, within_s=self._answer_within_s)
        if early is None:
            self._sessions.send(node, bootstrap(nonce, self._source(), self._owner))
        elif early.hello is not None:
            self._heard_early.append(early.hello)

    def ask(self, node: NodeName, op: str, *, last: bool = False, **fields: Any) -> None:
        """Send one request. `last`: end the session after it."""
        if node in self._links:
            self._links[node].unasked_bytes = 0
            self._links[node].is_up &= not last
        self._sessions.send(node, encode(op, **fields), last=last)

    def expect(self, node: NodeName, step: str, *, within_s: float | None = None, label: str = "") -> None:
        """The node must answer to `step` within `within_s` (None: the time for a step), or its session is closed.

        This replaces what was expected for that label.
        """
        if node in self._links:
            limit_s = self._step_within_s if within_s is None else within_s
            until = self._clock.monotonic() + limit_s
            self._links[node].expected[label] = _Expected(step, limit_s, until)
            self._put_deadline(node)

    def goes_on(self, node: NodeName, *, label: str = "") -> None:
        """The node is at work on the expected step, if there is one: its time begins anew."""
        if node in self._links and (owed := self._links[node].expected.get(label)) is not None:
            self.expect(node, owed.step, within_s=owed.within_s, label=label)

    def answered(self, node: NodeName, *, label: str = "") -> None:
        """The node has answered to the expected step."""
        if node in self._links and self._links[node].expected.pop(label, None) is not None:
            self._put_deadline(node)

    def heard_at(self, node: NodeName) -> float | None:
        """When its agent has last sent something; None: no agent was called there."""
        return self._links[node].heard_at if node in self._links else None

    def wake(self) -> None:
        """Make `listen` ask `enough` once more, now. May be called in any thread."""
        self._sessions.wake()

    def hang_up(self, node: NodeName) -> None:
        """Close the session. A job that was not started there is given up."""
        self._links.pop(node, None)
        self._sessions.close(node)

    def finish(self, node: NodeName) -> None:
        """End the requests: the agent completes those that it has, and exits."""
        if node in self._sessions.open_nodes():
            self._links[node].is_up = False
            self._sessions.send(node, b"", last=True)

    def listen(
        self,
        on_event: OnEvent,
        enough: Callable[[], bool],
        within_s: float | None = None,
        look_every_s: float = LOOK_AGAIN_S,
    ) -> None:
        """Pass on events until `enough()`, asked after each event and every `look_every_s`, or for `within_s`."""
        until = None if within_s is None else self._clock.monotonic() + within_s
        while not enough():
            self._ping_the_quiet()
            left = look_every_s if until is None else until - self._clock.monotonic()
            if left <= 0:
                return
            shows_in_s = self._show_unfinished()
            wait_s = min(look_every_s, left, look_every_s if shows_in_s is None else shows_in_s)
            self._pass_on(on_event, self._heard_early.popleft() if self._heard_early else self._sessions.next(wait_s))

    def drain_events(self, on_event: OnEvent) -> None:
        """Pass on the events that have arrived already, without waiting."""
        while (event := self._sessions.next(0.0)) is not None:
            self._pass_on(on_event, event)

    def _pass_on(self, on_event: OnEvent, event: SessionEvent | None) -> None:
        if event is not None:
            self._overhear(event)
        match event:
            case Line(node=node, text=text):
                if node in self._links:
                    self._hear(on_event, node, self._links[node], text)
            case Closed(node=node):
                on_event(node, _blamed(event, self._links.pop(node, None)))
            case None:
                pass
            case _:
                assert_never(event)

    def _hear(self, on_event: OnEvent, node: NodeName, link: _Link, text: bytes) -> None:
        event = decode(text, link.nonce)
        if isinstance(event, Hello) and link.is_up:
            event = None
        if event is None:
            link.noise_bytes += len(text) + _LINE_COST_BYTES
        else:
            link.unasked_bytes += len(text) + _LINE_COST_BYTES
        if link.noise_bytes > _MOST_NOISE_BYTES or link.unasked_bytes > _MOST_UNASKED_BYTES:
            self.hang_up(node)
            on_event(node, Closed(node=node, cause=Cause.GARBLED, reason="it sends unexpected data without end"))
        elif isinstance(event, Hello) and self._owner not in (None, event.uid):
            self.hang_up(node)
            on_event(node, Closed(node=node, cause=Cause.NOT_ROOT, reason=_NOT_ROOT))
        elif event is not None:
            link.heard_at = self._clock.monotonic()
            self.answered(node, label=_PING)
            if isinstance(event, Hello):
                link.is_up = link.has_greeted = True
                link.expected.pop("", None)
                self._put_deadline(node)
            on_event(node, event)

    def _put_deadline(self, node: NodeName) -> None:
        untils = [one.until for one in self._links[node].expected.values()]
        now = self._clock.monotonic()
        self._sessions.set_deadline(node, max(0.0, min(untils) - now) if untils else None)

    def _ping_the_quiet(self) -> None:
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_AGAIN_S
        for node, link in self._links.items():
            if link.is_up and not link.expected and now - link.heard_at >= self._answer_within_s:
                self._sessions.send(node, encode(_PING))
                self.expect(node, _PING, within_s=self._answer_within_s, label=_PING)


def _blamed(closed: Closed, link: _Link | None) -> Closed:
    """`closed` with the program or the step that is to blame. `link`: of the agent that was sent, if one was.

    NO_SHELL after an agent was sent means that the shell worked, and python3 did not.
    """
    if link is None:
        return closed
    if closed.cause is Cause.NO_SHELL and _SYNTAX_ERROR.search(closed.reason):
        return replace(closed, cause=Cause.GARBLED, reason=_INPUT_TAKEN)
    if closed.cause is Cause.NO_SHELL:
        return replace(closed, cause=Cause.PYTHON)
    if closed.cause is Cause.LOST and not link.has_greeted and _ENDED_BY_SIGNAL.search(closed.reason):
        return replace(closed, cause=Cause.PYTHON, reason="it was ended by a signal")
    if closed.cause is Cause.TIMEOUT and link.expected:
        late = min(link.expected.values(), key=lambda one: one.until)
        return replace(closed, reason=f"no answer to {late.step} within {late.within_s:g} s")
    return closed


# A short exchange with one agent on each of many nodes, all at once.

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An encoded request, and the time for its answer (None: that of a step)."""

    request: bytes
    within_s: float | None = None

    @property
    def step(self) -> str:
        """Its `op`."""
        return str(json.loads(self.request)["op"])


def ask_each(
    services: Services, nodes: Sequence[NodeName], react: Callable[[NodeName, AgentEvent | Closed], Ask | T | None]
) -> tuple[T, ...]:
    """Call all nodes; `react` returns a further request, a result, or None. Returns the results in node order.

    `react` must return a result for `Closed`, the last event of every node.
    """
    found: dict[NodeName, T] = {}
    left = dict.fromkeys(nodes)
    with services.transport.sessions() as sessions:
        agents = Agents(sessions, services)

        def hear(node: NodeName, event: AgentEvent | Closed) -> None:
            told = None if node in found else react(node, event)
            if isinstance(told, Ask):
                agents.expect(node, told.step, within_s=told.within_s)
                sessions.send(node, told.request)
            elif told is not None:
                found[node] = told
                del left[node]
                if not isinstance(event, Closed):
                    agents.hang_up(node)

        def is_over() -> bool:
            services.listener.awaiting(left.keys())
            return not left

        for node in nodes:
            agents.call(node)
        services.listener.asked(len(nodes))
        try:
            agents.listen(hear, is_over)
        finally:
            services.listener.done()
    return tuple(found[node] for node in nodes)
