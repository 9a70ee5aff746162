"""Put drain marks on nodes or take them away: one request to one agent per node."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from clbalance.engine.agent_wire import AgentEvent, Drained, Hello, Refused, Resumed, Trouble, bootstrap, decode
from clbalance.engine.world import World
from clbalance.model import NodeName
from clbalance.ports import Closed, Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What became of one node; `uid` is who we are there, None where nobody answered."""

    node: NodeName
    done: bool
    told: str = ""
    uid: int | None = None


@dataclass(slots=True)
class _Asked:
    nonce: str
    uid: int | None = None


def mark(world: World, nodes: Sequence[NodeName], request: bytes) -> tuple[Marked, ...]:
    """Send `request` (a `drain` or `resume`, encoded) to every node; each answers or its deadline ends it."""
    found: dict[NodeName, Marked] = {}
    with world.transport.sessions() as sessions:
        asked = {node: _Asked(secrets.token_hex(16)) for node in nodes}
        for node, one in asked.items():
            sessions.open(node, within_s=world.answer_within_s)
            sessions.send(node, bootstrap(one.nonce, world.agent_source))
        while len(found) < len(nodes):
            event = sessions.next(1.0)
            if event is None or event.node in found:
                continue
            if isinstance(event, Closed):
                found[event.node] = Marked(node=event.node, done=False, told=event.cause.because(event.why))
                continue
            answer = decode(event.text, asked[event.node].nonce)
            marked = _react(sessions, event.node, asked[event.node], answer, request)
            if marked is not None:
                found[event.node] = marked
    return tuple(found[node] for node in nodes)


def _react(
    sessions: Sessions, node: NodeName, asked: _Asked, answer: AgentEvent | None, request: bytes
) -> Marked | None:
    match answer:
        case Hello(uid=uid):
            asked.uid = uid
            sessions.send(node, request, last=True)
        case Drained():
            return Marked(node=node, done=True, uid=asked.uid)
        case Resumed(was=was):
            return Marked(node=node, done=True, told="" if was else "no mark of yours was there", uid=asked.uid)
        case Refused(why=why) | Trouble(why=why):
            return Marked(node=node, done=False, told=why, uid=asked.uid)
        case _:
            pass
    return None
