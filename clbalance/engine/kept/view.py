"""`ports.Sessions` over kept sessions: what is released goes back, the rest ends with the view."""

from types import TracebackType
from typing import Self

from clbalance.engine.kept.pool import SessionPool
from clbalance.model import Cause, NodeName
from clbalance.ports import Closed, SessionEvent


class SessionsView:
    """One use of the sessions of a pool."""

    keeps = True
    through_gateways = False

    def __init__(self, pool: SessionPool) -> None:
        self._pool = pool
        self._open: set[NodeName] = set()
        self._refused: dict[NodeName, Closed] = {}

    def __enter__(self) -> Self:
        try:
            self._pool.begin_use()
        except BaseException:  # also a signal, up to the moment from which `__exit__` is called
            self._pool.end_use()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._pool.end_use()
        except BaseException:  # a signal came just now: what was sent to the shells must not reach the next use
            self._pool.end_use()
            raise

    def open(self, node: NodeName, *, within_s: float) -> None:
        self._open.add(node)
        failed = self._pool.open(node, within_s)
        if failed is not None:
            self._refused[node] = Closed(node=node, cause=failed.cause, reason=failed.reason)

    def send(self, node: NodeName, text: bytes, *, last: bool = False) -> None:
        if self._is_given(node):
            self._pool.send(node, text, last=last)

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        if self._is_given(node):
            self._pool.open_sessions.set_deadline(node, within_s)

    def release(self, node: NodeName) -> None:
        if self._is_given(node):
            self._pool.release(node)
        self._forget(node)

    def close(self, node: NodeName, *, fault: str = "") -> None:
        if self._is_given(node):
            self._pool.drop(node)
            if fault:
                self._pool.has_failed(node, Cause.GARBLED, fault)
        self._forget(node)

    def open_nodes(self) -> frozenset[NodeName]:
        return frozenset(self._open)

    def open_count(self) -> int:
        return len(self._open)

    def connected(self) -> frozenset[NodeName]:
        return self._pool.nodes | self._pool.open_sessions.connected()

    def next(self, timeout_s: float) -> SessionEvent | None:
        if self._refused:
            node, refused = self._refused.popitem()
            self._open.discard(node)
            return refused
        until_s = self._pool.now_s + timeout_s
        event = self._pool.take(timeout_s)
        while event is not None and event.node not in self._open:
            event = self._pool.take(max(0.0, until_s - self._pool.now_s))
        if isinstance(event, Closed):
            self._open.discard(event.node)
        return event

    def wake(self) -> None:
        self._pool.open_sessions.wake()

    def _is_given(self, node: NodeName) -> bool:
        """Whether the view has a session with the node: it was opened, was not refused, and has not ended."""
        return node in self._open and node not in self._refused

    def _forget(self, node: NodeName) -> None:
        self._open.discard(node)
        self._refused.pop(node, None)
