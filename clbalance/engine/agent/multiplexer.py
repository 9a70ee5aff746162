"""Share one agent per node among several jobs: each job gets its own events, and the last one closes the session."""

from collections import deque
from collections.abc import Callable
from typing import Any

from clbalance.engine.agent.protocol import AgentEvent, Hello
from clbalance.engine.agent.sessions import LOOK_AGAIN_S, Agents, OnEvent
from clbalance.model import NodeName
from clbalance.ports import Closed


class AgentMultiplexer:
    """Shares the sessions of `agents` among channels, one per claim."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents
        self._channels: dict[str, tuple[AgentChannel, OnEvent]] = {}
        self._greetings: dict[NodeName, Hello] = {}
        self._to_greet: deque[tuple[str, NodeName]] = deque()

    def channel(self, label: str) -> "AgentChannel":
        """A new channel for the claim with that label."""
        return AgentChannel(self, label)

    def connect(self, channel: "AgentChannel", on_event: OnEvent) -> None:
        """Pass events of that channel's claim to `on_event` from now on."""
        self._channels[channel.label] = (channel, on_event)

    def listen(
        self, enough: Callable[[], bool], within_s: float | None = None, look_every_s: float = LOOK_AGAIN_S
    ) -> None:
        """Pass events to all channels until `enough()`, or for `within_s` seconds."""
        self._agents.listen(self._on_event, lambda: self._repeat_greetings() or enough(), within_s, look_every_s)

    def call(self, channel: "AgentChannel", node: NodeName) -> None:
        """Call a node. If its agent has said hello already, the channel gets that `Hello` once more."""
        if node in self._greetings:
            self._to_greet.append((channel.label, node))
        elif not any(node in other.nodes for other, _ in self._channels.values() if other is not channel):
            self._agents.call(node)

    def hang_up(self, channel: "AgentChannel", node: NodeName) -> None:
        """Close the session if no other channel uses the node."""
        if not any(node in other.nodes for other, _ in self._channels.values() if other is not channel):
            self._greetings.pop(node, None)
            self._agents.hang_up(node)
        else:
            self._agents.answered(node, label=channel.label)

    def ask(self, node: NodeName, op: str, fields: dict[str, Any]) -> None:
        """Pass a request on."""
        self._agents.ask(node, op, **fields)

    def expect(self, channel: "AgentChannel", node: NodeName, step: str, within_s: float | None) -> None:
        """An answer to that channel is due. One that does not come closes the session of all: the agent hangs."""
        self._agents.expect(node, step, within_s=within_s, label=channel.label)

    def goes_on(self, channel: "AgentChannel", node: NodeName) -> None:
        """The node is at work on that channel's step."""
        self._agents.goes_on(node, label=channel.label)

    def answered(self, channel: "AgentChannel", node: NodeName) -> None:
        """That channel has its answer."""
        self._agents.answered(node, label=channel.label)

    def heard_at(self, node: NodeName) -> float | None:
        """As `Agents.heard_at`: whichever channel it was for."""
        return self._agents.heard_at(node)

    def wake(self) -> None:
        """As `Agents.wake`."""
        self._agents.wake()

    def forget(self, channel: "AgentChannel") -> None:
        """Pass no more events to this channel."""
        self._channels.pop(channel.label, None)

    def finish(self, within_s: float) -> None:
        """Let all agents complete their requests and exit, for `within_s` seconds at most."""
        left = set(self._greetings)
        for node in left:
            self._agents.finish(node)

        def hear(node: NodeName, event: AgentEvent | Closed) -> None:
            if isinstance(event, Closed):
                left.discard(node)

        self._agents.listen(hear, lambda: not left, within_s)

    def _repeat_greetings(self) -> bool:
        while self._to_greet:
            label, node = self._to_greet.popleft()
            if node in self._greetings:
                self._channels[label][1](node, self._greetings[node])
        return False

    def _on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        if isinstance(event, Hello):
            self._greetings[node] = event
        elif isinstance(event, Closed):
            self._greetings.pop(node, None)
        label = getattr(event, "job", None)
        if label is None:
            concerned = list(self._channels.values())
        else:
            concerned = [self._channels[label]] if label in self._channels else []
        for channel, on_event in concerned:
            if node in channel.nodes:
                if isinstance(event, Closed):
                    channel.nodes.discard(node)
                on_event(node, event)


class AgentChannel:
    """The view of one claim on the shared agents, with the methods of `Agents`."""

    def __init__(self, multiplexer: AgentMultiplexer, label: str) -> None:
        self._multiplexer = multiplexer
        self.label = label
        self.nodes: set[NodeName] = set()
        """The nodes that this channel has called."""

    def call(self, node: NodeName) -> None:
        """As `Agents.call`."""
        self._multiplexer.call(self, node)
        self.nodes.add(node)

    def ask(self, node: NodeName, op: str, *, last: bool = False, **fields: Any) -> None:
        """As `Agents.ask`, but `last` is ignored: other channels may have more requests."""
        del last
        self._multiplexer.ask(node, op, fields)

    def expect(self, node: NodeName, step: str, *, within_s: float | None = None) -> None:
        """As `Agents.expect`, beside what other channels expect."""
        self._multiplexer.expect(self, node, step, within_s)

    def goes_on(self, node: NodeName) -> None:
        """As `Agents.goes_on`."""
        self._multiplexer.goes_on(self, node)

    def answered(self, node: NodeName) -> None:
        """As `Agents.answered`."""
        self._multiplexer.answered(self, node)

    def hang_up(self, node: NodeName) -> None:
        """Close this channel to the node only."""
        if node in self.nodes:
            self.nodes.discard(node)
            self._multiplexer.hang_up(self, node)

    def listen(self, on_event: OnEvent, enough: Callable[[], bool], within_s: float | None = None) -> None:
        """Pass this claim's events to `on_event` until `enough()`, or for `within_s` seconds."""
        self._multiplexer.connect(self, on_event)
        self._multiplexer.listen(enough, within_s)
