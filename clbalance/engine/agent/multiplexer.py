"""One agent per node for the followers of several jobs: each hears what concerns it, the last one hangs up."""

from collections import deque
from collections.abc import Callable
from typing import Any

from clbalance.engine.agent.protocol import AgentEvent, Hello
from clbalance.engine.agent.sessions import LOOK_AGAIN_S, Agents, OnEvent
from clbalance.model import NodeName
from clbalance.ports import Closed


class AgentMultiplexer:
    """Shares the sessions of `agents` among lines, one per job."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents
        self._channels: dict[str, tuple[AgentChannel, OnEvent]] = {}
        self._greetings: dict[NodeName, Hello] = {}
        self._late: deque[tuple[str, NodeName]] = deque()

    def channel(self, label: str) -> "AgentChannel":
        """A line of its own for the job with that label."""
        return AgentChannel(self, label)

    def connect(self, channel: "AgentChannel", on_event: OnEvent) -> None:
        """What concerns that line's job goes to `hear` from now on."""
        self._channels[channel.label] = (channel, on_event)

    def listen(
        self, enough: Callable[[], bool], within_s: float | None = None, look_every_s: float = LOOK_AGAIN_S
    ) -> None:
        """Until enough has been heard on all lines."""
        self._agents.listen(self._on_event, lambda: self._repeat_greetings() or enough(), within_s, look_every_s)

    def call(self, channel: "AgentChannel", node: NodeName, *, within_s: float) -> None:
        """Who calls a node where an agent answers already is greeted by it once more."""
        if node in self._greetings:
            self._late.append((channel.label, node))
        elif not any(node in other.nodes for other, _ in self._channels.values() if other is not channel):
            self._agents.call(node, within_s=within_s)

    def hang_up(self, channel: "AgentChannel", node: NodeName) -> None:
        """The session ends with its last line."""
        if not any(node in other.nodes for other, _ in self._channels.values() if other is not channel):
            self._greetings.pop(node, None)
            self._agents.hang_up(node)

    def ask(self, node: NodeName, op: str, fields: dict[str, Any]) -> None:
        """Pass a request on."""
        self._agents.ask(node, op, **fields)

    def forget(self, channel: "AgentChannel") -> None:
        """Nothing concerns it any more."""
        self._channels.pop(channel.label, None)

    def finish(self, within_s: float) -> None:
        """Let all agents do what they were asked, and go."""
        left = set(self._greetings)
        for node in left:
            self._agents.finish(node)

        def hear(node: NodeName, event: AgentEvent | Closed) -> None:
            if isinstance(event, Closed):
                left.discard(node)

        self._agents.listen(hear, lambda: not left, within_s)

    def _repeat_greetings(self) -> bool:
        while self._late:
            label, node = self._late.popleft()
            if node in self._greetings:
                self._channels[label][1](node, self._greetings[node])
        return False

    def _on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        if isinstance(event, Hello):
            self._greetings[node] = event
            self._agents.set_deadline(node, None)
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
    """What one job's follower takes for agents of its own."""

    def __init__(self, multiplexer: AgentMultiplexer, label: str) -> None:
        self._multiplexer = multiplexer
        self.label = label
        self.nodes: set[NodeName] = set()
        """Where this line is open."""

    def call(self, node: NodeName, *, within_s: float) -> None:
        """As `Agents.call`."""
        self._multiplexer.call(self, node, within_s=within_s)
        self.nodes.add(node)

    def ask(self, node: NodeName, op: str, *, last: bool = False, **fields: Any) -> None:
        """As `Agents.ask`, but that nothing is the last for others."""
        del last
        self._multiplexer.ask(node, op, fields)

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        """The others' deadlines are not this job's to set; the first answer lifts it."""

    def hang_up(self, node: NodeName) -> None:
        """This line only."""
        if node in self.nodes:
            self.nodes.discard(node)
            self._multiplexer.hang_up(self, node)

    def listen(self, on_event: OnEvent, enough: Callable[[], bool], within_s: float | None = None) -> None:
        """Hear what concerns this line's job until there is enough of it."""
        self._multiplexer.connect(self, on_event)
        self._multiplexer.listen(enough, within_s)
