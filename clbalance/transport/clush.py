"""Sessions over ClusterShell's `Task`, which runs in a thread of its own, the transport thread, and is woken by a port.

Input: calls of `open`, `send`, `set_deadline` and `close` from the engine's thread. Output: `Line` and `Closed` events
in a queue.

A signal handler may raise in the engine's thread between any two bytecodes. So the threads share only `SimpleQueue`s,
which are implemented in C and stay consistent. Classes of `threading` and `queue` that are built from Python locks are
not used: an exception inside leaves the lock held.
"""

import contextlib
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from clbalance.errors import TransportError
from clbalance.model import NodeName
from clbalance.ports import Closed, Line, SessionEvent
from clbalance.transport.session_loop import Lines, MakeWorker, SessionLoop
from clbalance.transport.session_state import Retries, SessionState, cost_of

_STARTED_WITHIN_S = 5.0
_THREADS_TURN_S = 0.0005
"""Python's own 5 ms are longer than the start of an ssh, which waits for its turn while the engine's thread imports."""
_GONE_WITHIN_S = 3.0


class ClushSessions:
    """`ports.Sessions` over one `Task`."""

    keeps = False
    through_gateways = False

    def __init__(
        self,
        make_worker: MakeWorker,
        *,
        info: dict[str, Any],
        fanout: int,
        capacity: int,
        retries: Retries,
        connected: Callable[[], frozenset[NodeName]],
    ) -> None:
        self.connected = connected
        self._loop = SessionLoop(make_worker, info=info, fanout=fanout, capacity=capacity, retries=retries)
        self._thread = threading.Thread(target=self._loop.run, name="clbalance-transport", daemon=True)
        self._known_open: set[NodeName] = set()
        self._opened: dict[NodeName, int] = {}
        """How often each node was opened: distinguishes the events of a session from those of the previous one."""
        self._begun: set[NodeName] = set()
        """Nodes that are connected to already, and not open yet."""
        self._read: tuple[SessionState, Lines, deque[bytes]] | None = None
        """Lines that were read at once: all of them, and those that are left."""

    def __enter__(self) -> Self:
        if self._thread.ident is not None:
            return self  # with nodes that were begun
        sys.setswitchinterval(min(sys.getswitchinterval(), _THREADS_TURN_S))
        try:
            self._thread.start()
            self._loop.ready.get(timeout=_STARTED_WITHIN_S)
        except BaseException as error:
            self._shut_down()
            if isinstance(error, queue.Empty):
                raise TransportError("the transport thread did not start") from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._shut_down()
        except BaseException:  # a signal came just now: end our processes all the same
            self._shut_down()
            raise

    def begin(self, node: NodeName) -> None:
        """Connect to a node that will be opened. Its deadline starts when it is."""
        self._begun.add(node)
        self._opened[node] = 1
        self._post(self._loop.open_session, node, None, 1)

    def open(self, node: NodeName, *, within_s: float) -> None:
        if node in self._begun:
            self._known_open.add(node)
            self._begun.remove(node)
            self._post(self._loop.put_first_deadline, node, within_s)
            return
        if node in self._known_open:
            self.close(node)
        self._known_open.add(node)
        self._opened[node] = self._opened.get(node, 0) + 1
        self._post(self._loop.open_session, node, within_s, self._opened[node])

    def send(self, node: NodeName, text: bytes, *, last: bool = False) -> None:
        self._post(self._loop.write, node, text, last)

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        ends_at = None if within_s is None else time.monotonic() + within_s
        self._loop.hand_over_later(self._loop.put_deadline, node, within_s, ends_at)

    def release(self, node: NodeName) -> None:
        self.close(node)

    def close(self, node: NodeName, *, fault: str = "") -> None:
        self._known_open.discard(node)
        self._begun.discard(node)
        self._post(self._loop.end, node)

    def open_nodes(self) -> frozenset[NodeName]:
        return frozenset(self._known_open)

    def open_count(self) -> int:
        return len(self._known_open)

    def next(self, timeout_s: float) -> SessionEvent | None:
        if (line := self._next_line()) is not None:
            return line
        until = time.monotonic() + timeout_s
        while True:
            try:
                heard = self._loop.events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return None
            if heard is None:
                return None
            if isinstance(heard, BaseException):
                raise TransportError(f"the transport stopped: {heard}") from heard
            event, session = heard
            if isinstance(event, Closed):
                self._begun.discard(event.node)  # if it is opened after all, it is connected to anew
                if self._is_present(session):
                    self._known_open.discard(event.node)
                    return event
                continue
            self._read = session, event, deque(event)
            if (line := self._next_line()) is not None:
                return line

    def wake(self) -> None:
        self._loop.events.put(None)

    def _next_line(self) -> Line | None:
        """Of those that were read at once. When the last one is given out, all of them are taken."""
        if self._read is None:
            return None
        session, lines, left = self._read
        line = Line(node=session.node, text=left.popleft()) if left and self._is_present(session) else None
        if line is None or not left:
            self._read = None
            session.taken_bytes += cost_of(lines)
            if session.may_go_on and not self._loop.has_stopped:
                self._loop.hand_over(self._loop.go_on_reading, session)
        return line

    def _is_present(self, session: SessionState) -> bool:
        """Whether it was not closed, and perhaps opened again, meanwhile."""
        return session.node in self._known_open and session.opened == self._opened[session.node]

    def _post(self, step: Callable[..., None], *arguments: object) -> None:
        if self._loop.has_stopped:
            raise TransportError("the transport has stopped")
        self._loop.hand_over(step, *arguments)

    def _shut_down(self) -> None:
        if self._thread.ident is None or self._loop.has_stopped:
            return
        self._loop.hand_over(self._loop.abort)
        with contextlib.suppress(queue.Empty):
            self._loop.gone.get(timeout=_GONE_WITHIN_S)
