"""A short talk with one agent on each of many nodes, all at once; none waits for another."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from clbalance.engine.agent_wire import AgentEvent
from clbalance.engine.agents import Agents
from clbalance.engine.world import World
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.ports import Closed

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request, encoded; with `afresh` the node has its whole time to answer again."""

    request: bytes
    afresh: bool = False


def ask_each(
    world: World, nodes: Sequence[NodeName], react: Callable[[NodeName, AgentEvent | Closed], Ask | T | None]
) -> tuple[T, ...]:
    """What `react` makes of each node, in their order. It must make something of `Closed`, which ends every talk."""
    found: dict[NodeName, T] = {}
    with world.transport.sessions() as sessions:
        agents = Agents(sessions, world)

        def hear(node: NodeName, event: AgentEvent | Closed) -> None:
            told = None if node in found else react(node, event)
            if isinstance(told, Ask):
                if told.afresh:
                    sessions.set_deadline(node, world.answer_within_s)
                sessions.send(node, told.request)
            elif told is not None:
                found[node] = told
                if not isinstance(event, Closed):
                    sessions.close(node)

        for node in nodes:
            agents.call(node, within_s=world.answer_within_s)
        agents.listen(hear, lambda: len(found) == len(nodes))
    return tuple(found[node] for node in nodes)
