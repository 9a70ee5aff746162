"""Agents on nodes, spoken to in their own words (docs/design/agent.md) over sessions that others may have opened."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias, assert_never

from clbalance.engine.agent_wire import AgentEvent, bootstrap, decode, encode
from clbalance.engine.world import World
from clbalance.model import Cause, NodeName
from clbalance.ports import Closed, Line, SessionEvent, Sessions

PROTOCOL = 2

Hear: TypeAlias = Callable[[NodeName, AgentEvent | Closed], None]
"""Who is told what agents say, and when a session has ended."""

LOOK_AGAIN_S = 1.0


class Agents:
    """One agent per node, each framed by a nonce of its own."""

    def __init__(self, sessions: Sessions, world: World) -> None:
        self._sessions = sessions
        self._source = world.agent_source
        self._clock = world.clock
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
        self, hear: Hear, enough: Callable[[], bool], within_s: float | None = None, look_every_s: float = LOOK_AGAIN_S
    ) -> None:
        """Until `enough`, which is asked again after each event and every `look_every_s`, or for `within_s`."""
        until = None if within_s is None else self._clock.monotonic() + within_s
        while not enough():
            left = look_every_s if until is None else until - self._clock.monotonic()
            if left <= 0:
                return
            self._pass_on(hear, self._sessions.next(min(look_every_s, left)))

    def hear_all(self, hear: Hear) -> None:
        """What has come by now."""
        while (event := self._sessions.next(0.0)) is not None:
            self._pass_on(hear, event)

    def _pass_on(self, hear: Hear, event: SessionEvent | None) -> None:
        match event:
            case Line(node=node, text=text):
                told = decode(text, self._nonces.get(node, ""))
                if told is not None:
                    hear(node, told)
            case Closed(node=node):
                hear(node, self._blamed(event))
            case None:
                pass
            case _:
                assert_never(event)

    def _blamed(self, closed: Closed) -> Closed:
        """Its shell took the agent's text where it was called: then it was python3 that did not do what it should."""
        if closed.cause is Cause.NO_SHELL and closed.node in self._nonces:
            return replace(closed, cause=Cause.PYTHON)
        return closed
