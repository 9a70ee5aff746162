"""A transport without processes, for tests: each node is a function from what it is sent to what it answers.

Time is its own: `next` returns at once and moves the clock forward instead of waiting.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from types import TracebackType
from typing import Self

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.ports import Closed, Line, SessionEvent


@dataclass(frozen=True, slots=True)
class HangUp:
    """A node's answer that ends its session."""

    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class Later:
    """A line that comes some seconds after the `send`."""

    after_s: float
    text: bytes


ScriptedNode = Callable[[bytes], Sequence[bytes | HangUp | Later]]
"""From one `send` to lines, and perhaps a `HangUp`, in order. An empty answer is silence."""


@dataclass(slots=True)
class ScriptedTransport:
    """Nodes by name; a name that is not in `nodes` cannot be resolved. `sent` and `asked` are for assertions."""

    nodes: Mapping[NodeName, ScriptedNode]
    sent: dict[NodeName, list[bytes]] = field(default_factory=dict)
    opened: list[NodeName] = field(default_factory=list)
    clock_s: float = 0.0
    users: "dict[str, ScriptedTransport]" = field(default_factory=dict)
    """Who finds other nodes under the same names."""
    connected: frozenset[NodeName] = frozenset()

    def as_user(self, user: str) -> "ScriptedTransport":
        """The nodes as `user` finds them."""
        return self.users.get(user, self)

    def sessions(self) -> "ScriptedSessions":
        """Fresh sessions over the same nodes."""
        return ScriptedSessions(self)

    def terminal(self, node: NodeName, command: str) -> list[str]:
        """Nothing that could run."""
        return ["false", node, command]


class ScriptedSessions:
    """`ports.Sessions` over functions."""

    keeps = False
    through_gateways = False

    def __init__(self, transport: ScriptedTransport) -> None:
        self._transport = transport
        self._events: deque[SessionEvent] = deque()
        self._ends_at: dict[NodeName, float | None] = {}
        self._within: dict[NodeName, float | None] = {}
        self._later: deque[tuple[float, Line]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends_at.clear()

    def open(self, node: NodeName, *, within_s: float) -> None:
        self._transport.opened.append(node)
        self.close(node)
        self._ends_at[node] = None
        self.set_deadline(node, within_s)
        if node not in self._transport.nodes:
            self._hang_up(node, HangUp(Cause.DNS, f"Could not resolve hostname {node}"))

    def send(self, node: NodeName, text: bytes, *, last: bool = False) -> None:
        if node not in self._ends_at:
            return
        self._transport.sent.setdefault(node, []).append(text)
        answers = self._transport.nodes[node](text)
        for answer in answers:
            match answer:
                case HangUp():
                    self._hang_up(node, answer)
                    return
                case Later(after_s=after_s, text=line):
                    self._later.append((self._transport.clock_s + after_s, Line(node=node, text=line)))
                case _:
                    self._events.append(Line(node=node, text=answer))
        if last and answers and not isinstance(answers[-1], Later):  # one that says nothing hangs
            self._hang_up(node, HangUp(Cause.LOST, "ended"))

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        if node in self._ends_at:
            self._within[node] = within_s
            self._ends_at[node] = None if within_s is None else self._transport.clock_s + within_s

    def release(self, node: NodeName) -> None:
        self.close(node)

    def close(self, node: NodeName, *, fault: str = "") -> None:
        self._ends_at.pop(node, None)
        self._events = deque(event for event in self._events if event.node != node)
        self._later = deque(one for one in self._later if one[1].node != node)

    def open_nodes(self) -> frozenset[NodeName]:
        return frozenset(self._ends_at) | {event.node for event in self._events if isinstance(event, Closed)}

    def open_count(self) -> int:
        return len(self.open_nodes())

    def connected(self) -> frozenset[NodeName]:
        return self._transport.connected

    def next(self, timeout_s: float) -> SessionEvent | None:
        if self._events:
            return self._events.popleft()
        moments = [at_s for at_s, _ in self._later] + [at_s for at_s in self._ends_at.values() if at_s is not None]
        now_s = self._transport.clock_s
        ends_s = max(now_s + timeout_s, math.nextafter(now_s, math.inf)) if timeout_s > 0 else now_s  # time goes on
        until = min([ends_s, *moments])
        self._transport.clock_s = max(self._transport.clock_s, until)
        for one in self._later:
            if self._transport.clock_s >= one[0]:
                self._later.remove(one)
                return one[1]
        for node, ends_at in self._ends_at.items():
            if ends_at is not None and self._transport.clock_s >= ends_at:
                self._hang_up(node, HangUp(Cause.TIMEOUT, f"no answer within {self._within[node]:g} s"))
                return self._events.popleft()
        return None

    def wake(self) -> None:
        """Nothing: `next` never waits."""

    def _hang_up(self, node: NodeName, end: HangUp) -> None:
        del self._ends_at[node]
        self._events.append(Closed(node=node, cause=end.cause, reason=end.reason))
