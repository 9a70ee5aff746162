"""Put drain marks on nodes or take them away: one request to one agent per node."""

from collections.abc import Sequence

from clbalance.engine.agent_wire import AgentEvent, Drained, Hello, Refused, Resumed, Trouble
from clbalance.engine.ask_each import Ask, ask_each
from clbalance.engine.world import World
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.ports import Closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What became of one node; `uid` is who we are there, None where nobody answered."""

    node: NodeName
    done: bool
    """It is as it was asked to be."""
    told: str = ""
    """Why not; or, where it is, why nothing had to be changed."""
    uid: int | None = None


def mark(world: World, nodes: Sequence[NodeName], request: bytes) -> tuple[Marked, ...]:
    """Send `request` (a `drain` or `resume`, encoded) to every node; each answers or its deadline ends it."""
    uids: dict[NodeName, int] = {}

    def react(node: NodeName, event: AgentEvent | Closed) -> Ask | Marked | None:
        match event:
            case Hello(uid=uid):
                uids[node] = uid
                return Ask(request=request)
            case Drained():
                return Marked(node=node, done=True, uid=uids.get(node))
            case Resumed(was=was):
                told = "" if was else "no mark of yours was there"
                return Marked(node=node, done=True, told=told, uid=uids.get(node))
            case Refused(why=why) | Trouble(why=why):
                return Marked(node=node, done=False, told=why, uid=uids.get(node))
            case Closed(cause=cause, why=why):
                return Marked(node=node, done=False, told=cause.because(why))
            case _:
                return None

    return ask_each(world, nodes, react)
