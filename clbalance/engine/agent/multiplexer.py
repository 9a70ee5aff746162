"""One agent per node for the followers of several jobs: each hears what concerns it, the last one hangs up."""

from collections import deque
from collections.abc import Callable
from typing import Any

from clbalance.engine.agent.protocol import AgentEvent, Hello
from clbalance.engine.agent.sessions import LOOK_AGAIN_S, Agents, Hear
from clbalance.model import NodeName
from clbalance.ports import Closed


class Switchboard:
    """Shares the sessions of `agents` among lines, one per job."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents
        self._lines: dict[str, tuple[SharedAgents, Hear]] = {}
        self._greetings: dict[NodeName, Hello] = {}
        self._late: deque[tuple[str, NodeName]] = deque()

    def line(self, label: str) -> "SharedAgents":
        """A line of its own for the job with that label."""
        return SharedAgents(self, label)

    def connect(self, line: "SharedAgents", hear: Hear) -> None:
        """What concerns that line's job goes to `hear` from now on."""
        self._lines[line.label] = (line, hear)

    def listen(
        self, enough: Callable[[], bool], within_s: float | None = None, look_every_s: float = LOOK_AGAIN_S
    ) -> None:
        """Until enough has been heard on all lines."""
        self._agents.listen(self._hear, lambda: self._repeat_greetings() or enough(), within_s, look_every_s)

    def call(self, line: "SharedAgents", node: NodeName, *, within_s: float) -> None:
        """Who calls a node where an agent answers already is greeted by it once more."""
        if node in self._greetings:
            self._late.append((line.label, node))
        elif not any(node in other.nodes for other, _ in self._lines.values() if other is not line):
            self._agents.call(node, within_s=within_s)

    def hang_up(self, line: "SharedAgents", node: NodeName) -> None:
        """The session ends with its last line."""
        if not any(node in other.nodes for other, _ in self._lines.values() if other is not line):
            self._greetings.pop(node, None)
            self._agents.hang_up(node)

    def ask(self, node: NodeName, op: str, fields: dict[str, Any]) -> None:
        """Pass a request on."""
        self._agents.ask(node, op, **fields)

    def forget(self, line: "SharedAgents") -> None:
        """Nothing concerns it any more."""
        self._lines.pop(line.label, None)

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
                self._lines[label][1](node, self._greetings[node])
        return False

    def _hear(self, node: NodeName, event: AgentEvent | Closed) -> None:
        if isinstance(event, Hello):
            self._greetings[node] = event
            self._agents.set_deadline(node, None)
        elif isinstance(event, Closed):
            self._greetings.pop(node, None)
        label = getattr(event, "job", None)
        if label is None:
            concerned = list(self._lines.values())
        else:
            concerned = [self._lines[label]] if label in self._lines else []
        for line, hear in concerned:
            if node in line.nodes:
                if isinstance(event, Closed):
                    line.nodes.discard(node)
                hear(node, event)


class SharedAgents:
    """What one job's follower takes for agents of its own."""

    def __init__(self, board: Switchboard, label: str) -> None:
        self._board = board
        self.label = label
        self.nodes: set[NodeName] = set()
        """Where this line is open."""

    def call(self, node: NodeName, *, within_s: float) -> None:
        """As `Agents.call`."""
        self._board.call(self, node, within_s=within_s)
        self.nodes.add(node)

    def ask(self, node: NodeName, op: str, *, last: bool = False, **fields: Any) -> None:
        """As `Agents.ask`, but that nothing is the last for others."""
        del last
        self._board.ask(node, op, fields)

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        """The others' deadlines are not this job's to set; the first answer lifts it."""

    def hang_up(self, node: NodeName) -> None:
        """This line only."""
        if node in self.nodes:
            self.nodes.discard(node)
            self._board.hang_up(self, node)

    def listen(self, hear: Hear, enough: Callable[[], bool], within_s: float | None = None) -> None:
        """Hear what concerns this line's job until there is enough of it."""
        self._board.connect(self, hear)
        self._board.listen(enough, within_s)
