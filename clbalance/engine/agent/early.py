"""Agents that are sent along with the probe, to the few nodes that will probably be chosen (docs/design/few-nodes.md).

Their python3 starts while the probe's answer travels and is read. Until it is called, such an agent does nothing, and
it ends with its session without a trace. If its session ends before, the node is called as if none had been sent.
"""

from collections.abc import Iterable

from clbalance.engine.agent.bootstrap import bootstrap
from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.ports import Line, SessionEvent, Sessions
from clbalance.random_hex import random_hex


@dataclass(slots=True)
class EarlyAgent:
    """The agent that was sent to a node. `hello`: what it has said already."""

    nonce: str
    hello: Line | None = None


class EarlyAgents:
    """The agents that were sent, and not called yet."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._by_node: dict[NodeName, EarlyAgent] = {}

    def send(self, nodes: Iterable[NodeName]) -> None:
        """Send one to each of these nodes, behind the probe."""
        for node in nodes:
            early = self._by_node[node] = EarlyAgent(random_hex())
            text = bootstrap(early.nonce, self._services.agent_source(), self._services.owner)
            self._sessions.send(node, text)

    def hear(self, event: SessionEvent) -> None:
        """What came from a node that has answered the probe."""
        from clbalance.engine.agent.protocol import Hello, decode  # deferred import: docs/design/startup.md

        early = self._by_node.get(event.node)
        if early is not None and isinstance(event, Line) and isinstance(decode(event.text, early.nonce), Hello):
            early.hello = event

    def take(self, node: NodeName) -> EarlyAgent | None:
        """The agent on this node, for whoever calls it; None: none is there."""
        early = self._by_node.pop(node, None)
        return early if node in self._sessions.open_nodes() else None
