"""`ports.Sessions` where nodes are behind gateways: what is asked once goes through these, the rest directly."""

import queue
import time
from types import TracebackType
from typing import Self

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.ports import Closed, SessionEvent, Sessions
from clbalance.transport.tree.question import GatewaySettings, Question

_MOST_QUESTIONS = 4
"""Of one set of sessions: each has connections of its own to all gateways. What is asked beyond them goes directly."""
_GONE_WITHIN_S = 3.0


@dataclass(slots=True)
class _Asked:
    """A node that was opened: not sent anything yet, or asked."""

    within_s: float
    text: bytes = b""
    question: Question | None = None
    """None: it is to be asked yet."""


class TreeSessions:
    """Sessions with nodes behind gateways, and with others, which are asked directly.

    A node whose first text is its last is asked through its gateway. A node that is talked to further has a session
    of its own, by ssh from here, as without gateways.
    """

    keeps = False
    through_gateways = True

    def __init__(self, direct: Sessions, gateways: GatewaySettings) -> None:
        self._direct = direct
        self._gateways = gateways
        self._asked: dict[NodeName, _Asked] = {}
        self._talked_to: set[NodeName] = set()
        """Nodes behind gateways that have a session of their own."""
        self._to_ask: list[NodeName] = []
        self._questions: list[Question] = []
        self._heard: queue.SimpleQueue[tuple[Question, SessionEvent]] = queue.SimpleQueue()
        self._is_woken = False
        """And has not looked at what was heard since."""

    def __enter__(self) -> Self:
        self._direct.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for question in self._questions:
                question.end()
            for question in self._questions:
                question.join(_GONE_WITHIN_S)
        finally:
            self._direct.__exit__(kind, error, trace)

    def open(self, node: NodeName, *, within_s: float) -> None:
        if node in self._gateways.routes.behind:
            if node in self._talked_to:
                self.close(node)
            self._asked[node] = _Asked(within_s)
        else:
            self._direct.open(node, within_s=within_s)

    def send(self, node: NodeName, text: bytes, *, last: bool = False) -> None:
        asked = self._asked.get(node)
        if asked is None:
            self._direct.send(node, text, last=last)
        elif last and not asked.text:
            asked.text = text
            self._to_ask.append(node)
        else:  # a conversation, which perhaps begins with what the node was asked
            self._open_directly(node, asked.text + text, last=last)

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        if node not in self._asked:  # gateways keep the deadlines of their nodes
            self._direct.set_deadline(node, within_s)

    def release(self, node: NodeName) -> None:
        self.close(node)

    def close(self, node: NodeName, *, fault: str = "") -> None:
        if self._asked.pop(node, None) is None:
            self._talked_to.discard(node)
            self._direct.close(node, fault=fault)

    def open_nodes(self) -> frozenset[NodeName]:
        return self._direct.open_nodes() | self._asked.keys()

    def open_count(self) -> int:
        return self._direct.open_count() + len(self._asked)

    def connected(self) -> frozenset[NodeName]:
        return self._direct.connected()

    def next(self, timeout_s: float) -> SessionEvent | None:
        self._ask()
        until = time.monotonic() + timeout_s
        while (event := self._from_gateways()) is None:
            self._is_woken = False  # what is told from now on wakes us
            if not self._heard.empty():
                continue
            left = until - time.monotonic()
            if (event := self._direct.next(max(0.0, left))) is not None:
                return event
            if left <= 0 or self._heard.empty():  # in time, and nothing came through gateways: somebody woke us
                return self._from_gateways()
        return event

    def wake(self) -> None:
        self._direct.wake()

    def _from_gateways(self) -> SessionEvent | None:
        while not self._heard.empty():
            question, event = self._heard.get_nowait()
            asked = self._asked.get(event.node)
            if asked is None or asked.question is not question:
                continue  # it was closed, and perhaps opened again, meanwhile
            if isinstance(event, Closed):
                del self._asked[event.node]
            return event
        return None

    def _ask(self) -> None:
        """Send what was not sent yet."""
        alike: dict[bytes, list[NodeName]] = {}
        for node in self._to_ask:
            if (asked := self._asked.get(node)) is not None and asked.question is None:
                alike.setdefault(asked.text, []).append(node)
        self._to_ask.clear()
        for text, nodes in alike.items():
            if len(self._questions) < _MOST_QUESTIONS:
                self._ask_through_gateways(text, nodes, max(self._asked[node].within_s for node in nodes))
            else:
                for node in nodes:
                    self._open_directly(node, text, last=True)

    def _open_directly(self, node: NodeName, text: bytes, *, last: bool) -> None:
        self._talked_to.add(node)
        self._direct.open(node, within_s=self._asked.pop(node).within_s)
        self._direct.send(node, text, last=last)

    def _ask_through_gateways(self, text: bytes, nodes: list[NodeName], within_s: float) -> None:
        def tell(event: SessionEvent) -> None:
            self._heard.put((question, event))
            if not self._is_woken:  # once for thousands of lines: sessions of our own wait behind wake-ups
                self._is_woken = True
                self._direct.wake()

        question = Question(self._gateways, nodes, text, within_s=within_s, tell=tell)
        for node in nodes:
            self._asked[node].question = question
        self._questions.append(question)
        question.start()
