"""Send requests to agents on nodes and receive their events, over open or new sessions."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar, assert_never

from clbalance.engine.agent.protocol import AgentEvent, bootstrap, decode, encode
from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.ports import Closed, Line, SessionEvent, Sessions

PROTOCOL = 2

OnEvent: TypeAlias = Callable[[NodeName, AgentEvent | Closed], None]
"""Is called with each event of an agent, and when a session has ended."""

LOOK_AGAIN_S = 1.0


class Agents:
    """One agent per node. Each marks its lines with its own nonce."""

    def __init__(self, sessions: Sessions, services: Services) -> None:
        self._sessions = sessions
        self._source = services.agent_source
        self._clock = services.clock
        self._show_unfinished = services.show_unfinished
        self._nonces: dict[NodeName, str] = {}

    def call(self, node: NodeName, *, within_s: float) -> None:
        """Send an agent to a node, over the open session or a new one. Hello must come within `within_s` seconds."""
        if node in self._sessions.open_nodes():
            self._sessions.set_deadline(node, within_s)
        else:
            self._sessions.open(node, within_s=within_s)
        self._nonces[node] = secrets.token_hex(16)
        self._sessions.send(node, bootstrap(self._nonces[node], self._source))

    def ask(self, node: NodeName, op: str, *, last: bool = False, **fields: Any) -> None:
        """Send one request. `last`: end the session after it."""
        self._sessions.send(node, encode(op, **fields), last=last)

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        """The node must send something within `within_s` seconds. None: no deadline."""
        self._sessions.set_deadline(node, within_s)

    def wake(self) -> None:
        """Make `listen` ask `enough` once more, now. May be called in any thread."""
        self._sessions.wake()

    def hang_up(self, node: NodeName) -> None:
        """Close the session. A job that was not started there is given up."""
        self._sessions.close(node)

    def finish(self, node: NodeName) -> None:
        """End the requests: the agent completes those that it has, and exits."""
        if node in self._sessions.open_nodes():
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
            left = look_every_s if until is None else until - self._clock.monotonic()
            if left <= 0:
                return
            shows_in_s = self._show_unfinished()
            wait_s = min(look_every_s, left, look_every_s if shows_in_s is None else shows_in_s)
            self._pass_on(on_event, self._sessions.next(wait_s))

    def drain_events(self, on_event: OnEvent) -> None:
        """Pass on the events that have arrived already, without waiting."""
        while (event := self._sessions.next(0.0)) is not None:
            self._pass_on(on_event, event)

    def _pass_on(self, on_event: OnEvent, event: SessionEvent | None) -> None:
        match event:
            case Line(node=node, text=text):
                told = decode(text, self._nonces.get(node, ""))
                if told is not None:
                    on_event(node, told)
            case Closed(node=node):
                on_event(node, self._blamed(event))
            case None:
                pass
            case _:
                assert_never(event)

    def _blamed(self, closed: Closed) -> Closed:
        """NO_SHELL after an agent was sent means that the shell worked, and python3 did not: blame python3."""
        if closed.cause is Cause.NO_SHELL and closed.node in self._nonces:
            return replace(closed, cause=Cause.PYTHON)
        return closed


# A short exchange with one agent on each of many nodes, all at once.

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An encoded request. `afresh`: the deadline for the node's answer starts again."""

    request: bytes
    afresh: bool = False


def ask_each(
    services: Services, nodes: Sequence[NodeName], react: Callable[[NodeName, AgentEvent | Closed], Ask | T | None]
) -> tuple[T, ...]:
    """Call all nodes; `react` returns a further request, a result, or None. Returns the results in node order.

    `react` must return a result for `Closed`, the last event of every node.
    """
    found: dict[NodeName, T] = {}
    with services.transport.sessions() as sessions:
        agents = Agents(sessions, services)

        def hear(node: NodeName, event: AgentEvent | Closed) -> None:
            told = None if node in found else react(node, event)
            if isinstance(told, Ask):
                if told.afresh:
                    sessions.set_deadline(node, services.answer_within_s)
                sessions.send(node, told.request)
            elif told is not None:
                found[node] = told
                if not isinstance(event, Closed):
                    sessions.close(node)

        for node in nodes:
            agents.call(node, within_s=services.answer_within_s)
        agents.listen(hear, lambda: len(found) == len(nodes))
    return tuple(found[node] for node in nodes)
