"""Agents on nodes, spoken to over sessions that others may have opened; and one short talk with each of many."""

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
"""Who is told what agents say, and when a session has ended."""

LOOK_AGAIN_S = 1.0


class Agents:
    """One agent per node, each framed by a nonce of its own."""

    def __init__(self, sessions: Sessions, services: Services) -> None:
        self._sessions = sessions
        self._source = services.agent_source
        self._clock = services.clock
        self._nonces: dict[NodeName, str] = {}

    def call(self, node: NodeName, *, within_s: float) -> None:
        """Send an agent to a node, over the session that is open there or a new one."""
        if node in self._sessions.open_nodes():
            self._sessions.set_deadline(node, within_s)
        else:
            self._sessions.open(node, within_s=within_s)
        self._nonces[node] = secrets.token_hex(16)
        self._sessions.send(node, bootstrap(self._nonces[node], self._source))

    def ask(self, node: NodeName, op: str, *, last: bool = False, **fields: Any) -> None:
        """One request; `last` ends the session behind it."""
        self._sessions.send(node, encode(op, **fields), last=last)

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        """By when its next news must come; None: whenever there are any."""
        self._sessions.set_deadline(node, within_s)

    def hang_up(self, node: NodeName) -> None:
        """End the session; what was not started there is given up."""
        self._sessions.close(node)

    def finish(self, node: NodeName) -> None:
        """Ask nothing more: the agent does what it was asked, and goes."""
        if node in self._sessions.open_nodes():
            self._sessions.send(node, b"", last=True)

    def listen(
        self,
        on_event: OnEvent,
        enough: Callable[[], bool],
        within_s: float | None = None,
        look_every_s: float = LOOK_AGAIN_S,
    ) -> None:
        """Until `enough`, which is asked again after each event and every `look_every_s`, or for `within_s`."""
        until = None if within_s is None else self._clock.monotonic() + within_s
        while not enough():
            left = look_every_s if until is None else until - self._clock.monotonic()
            if left <= 0:
                return
            self._pass_on(on_event, self._sessions.next(min(look_every_s, left)))

    def drain_events(self, on_event: OnEvent) -> None:
        """What has come by now."""
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
        """Its shell took the agent's text where it was called: then it was python3 that did not do what it should."""
        if closed.cause is Cause.NO_SHELL and closed.node in self._nonces:
            return replace(closed, cause=Cause.PYTHON)
        return closed


# A short talk with one agent on each of many nodes, all at once; none waits for another.

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request, encoded; with `afresh` the node has its whole time to answer again."""

    request: bytes
    afresh: bool = False


def ask_each(
    services: Services, nodes: Sequence[NodeName], react: Callable[[NodeName, AgentEvent | Closed], Ask | T | None]
) -> tuple[T, ...]:
    """What `react` makes of each node, in their order. It must make something of `Closed`, which ends every talk."""
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
