"""Sessions over ClusterShell's `Task`, which runs in a thread of its own, the transport thread, and is woken by a port.

Input: calls of `open`, `send`, `set_deadline` and `close` from the engine's thread. Output: `Line` and `Closed` events
in a queue. Deadlines of nodes are kept here, by the monotonic clock, independently of node and ssh. `fanout` limits
the connections that are made at once, the limit on open files the open sessions.

A signal handler may raise in the engine's thread between any two bytecodes. So the threads share only `SimpleQueue`s,
which are implemented in C and stay consistent. Classes of `threading` and `queue` that are built from Python locks are
not used: an exception inside leaves the lock held.
"""

import contextlib
import logging
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ClusterShell.Defaults import Defaults
from ClusterShell.Event import EventHandler
from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
from ClusterShell.Task import Task, task_self, task_terminate

from clbalance.errors import TransportError
from clbalance.model import Cause, NodeName
from clbalance.ports import Closed, Line, SessionEvent
from clbalance.transport.connect_window import ConnectWindow
from clbalance.transport.session_client import REMOTE_COMMAND, SessionWorker, WakeUp
from clbalance.transport.session_state import Retries, SessionState, cost_of
from clbalance.transport.ssh_failure import Failure, classify

_TICK_S = 0.1  # resolution of deadlines and of waits before a retry
_STARTED_WITHIN_S = 5.0
_GONE_WITHIN_S = 3.0
_LOOKED_AT_WITHIN_S = 0.3  # for the engine to handle a line that it has taken

# Without a handler, logging would print ClusterShell's warnings (a broken pipe is one) to our stderr.
logging.getLogger("ClusterShell").addHandler(logging.NullHandler())


class ClushSessions(EventHandler):  # type: ignore[misc]  # ClusterShell ships no types
    """`ports.Sessions` over one `Task`. `make_worker(node, handler, no_sharing)` decides how a node is reached."""

    def __init__(
        self,
        make_worker: Callable[[NodeSet, EventHandler, bool], SessionWorker],
        *,
        info: dict[str, Any],
        fanout: int,
        capacity: int,
        retries: Retries,
    ) -> None:
        self._make_worker = make_worker
        self._info = info
        self._window = ConnectWindow(fanout)
        self._capacity = capacity
        self._retries = retries
        self._known_open: set[NodeName] = set()
        self._opened: dict[NodeName, int] = {}
        """How often each node was opened: distinguishes the events of a session from those of the previous one."""
        self._events: queue.SimpleQueue[tuple[SessionEvent, SessionState] | BaseException | None] = queue.SimpleQueue()
        self._steps: queue.SimpleQueue[tuple[Callable[..., None], tuple[object, ...]]] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._gone: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._has_stopped = False
        self._thread = threading.Thread(target=self._run, name="clbalance-transport", daemon=True)
        self._alarm: WakeUp | None = None
        # Used only in the transport thread (`_run`):
        self._sessions: dict[NodeName, SessionState] = {}
        self._waiting: deque[SessionState] = deque()
        self._open = 0

    # -- called by the engine, at any time ------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self._thread.start()
            self._ready.get(timeout=_STARTED_WITHIN_S)
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

    def open(self, node: NodeName, *, within_s: float) -> None:
        self._known_open.add(node)
        self._opened[node] = self._opened.get(node, 0) + 1
        self._post(self._open_session, node, within_s, self._opened[node])

    def send(self, node: NodeName, text: bytes, *, last: bool = False) -> None:
        self._post(self._write, node, text, last)

    def set_deadline(self, node: NodeName, within_s: float | None) -> None:
        self._post(self._put_deadline, node, within_s)

    def close(self, node: NodeName) -> None:
        self._known_open.discard(node)
        self._post(self._end, node)

    def open_nodes(self) -> frozenset[NodeName]:
        return frozenset(self._known_open)

    def next(self, timeout_s: float) -> SessionEvent | None:
        until = time.monotonic() + timeout_s
        while True:
            try:
                heard = self._events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return None
            if heard is None:
                return None
            if isinstance(heard, BaseException):
                raise TransportError(f"the transport stopped: {heard}") from heard
            event, session = heard
            if isinstance(event, Line):
                self._take(session, event)
            if event.node not in self._known_open or session.opened != self._opened[event.node]:
                continue  # from a session that was closed, and perhaps opened again, meanwhile
            if isinstance(event, Closed):
                self._known_open.discard(event.node)
            return event

    def wake(self) -> None:
        self._events.put(None)

    def _take(self, session: SessionState, line: Line) -> None:
        session.taken_bytes += cost_of(line.text)
        if session.may_go_on and not self._has_stopped:
            self._hand_over(self._go_on_reading, (session,))

    def _post(self, step: Callable[..., None], *arguments: object) -> None:
        if self._has_stopped:
            raise TransportError("the transport has stopped")
        self._hand_over(step, arguments)

    def _hand_over(self, step: Callable[..., None], arguments: tuple[object, ...]) -> None:
        self._steps.put((step, arguments))
        if self._alarm is not None:
            self._alarm.wake()

    def _shut_down(self) -> None:
        if self._thread.ident is None or self._has_stopped:
            return
        self._hand_over(self._abort, ())
        with contextlib.suppress(queue.Empty):
            self._gone.get(timeout=_GONE_WITHIN_S)

    # -- in the transport thread, which runs ClusterShell's loop ----------------------------------

    def _run(self) -> None:
        try:
            self._task: Task = task_self(Defaults([]))  # its `defaults.conf` can name a Python module to import
            for stream in ("stdout_msgtree", "stderr_msgtree"):
                self._task.set_default(stream, False)  # it would keep every line in memory
            for key, setting in self._info.items():
                self._task.set_info(key, setting)
            self._task.set_info("fanout", self._capacity)  # connecting is limited by `_window`
            self._alarm = WakeUp(handler=self)
            self._task._add_port(self._alarm)  # noqa: SLF001 - `port` itself makes ports of one class only
            self._task.timer(_TICK_S, handler=self, interval=_TICK_S, autoclose=True)
            self._ready.put(None)
            self._task.resume()
        except BaseException as error:  # noqa: BLE001 - the engine's thread must learn of any error
            self._events.put(error)
        finally:
            self._has_stopped = True
            task_terminate()
            self._gone.put(None)

    def _abort(self) -> None:
        self._sessions.clear()
        self._waiting.clear()
        self._task.abort()

    def ev_wake(self) -> None:
        """Carry out the queued calls, in order."""
        while not self._steps.empty():
            step, arguments = self._steps.get_nowait()
            step(*arguments)

    def ev_timer(self, timer: object) -> None:
        self.ev_wake()  # a call whose wake-up was lost to a signal
        now = time.monotonic()
        for session in list(self._sessions.values()):
            if session.may_go_on:
                self._go_on_reading(session)
            if session.ends_at is None:
                continue
            if session.untaken_bytes:  # the answer may be among it: wait until the engine has looked
                session.ends_at = max(session.ends_at, now + _LOOKED_AT_WITHIN_S)
            elif now >= session.ends_at:
                self._finish(session, Failure(cause=Cause.TIMEOUT, reason=f"no answer within {session.within_s:g} s"))
        self._start_waiting()

    def _go_on_reading(self, session: SessionState) -> None:
        if session.is_paused and session.worker is not None:
            session.is_paused = False
            session.worker.go_on_reading()

    def _open_session(self, node: NodeName, within_s: float, opened: int) -> None:
        session = SessionState(node, within_s, opened)
        self._sessions[node] = session
        self._waiting.append(session)
        self._start_waiting()

    def _start_waiting(self) -> None:
        now = time.monotonic()
        places = self._window.free_places(now)
        for _ in range(len(self._waiting)):
            if not places or self._open >= self._capacity:
                return
            session = self._waiting.popleft()
            if session.not_before > now:
                self._waiting.append(session)
            elif self._sessions.get(session.node) is session:
                self._start(session, now)
                places -= 1

    def _start(self, session: SessionState, now: float) -> None:
        session.tries += 1
        session.first_try_at = session.first_try_at or now
        session.ends_at = None if session.within_s is None else now + session.within_s
        one_node = NodeSet._fromlist1([session.node], resolver=RESOLVER_NOGROUP)  # noqa: SLF001 - its fast constructor
        worker = self._make_worker(one_node, self, session.no_sharing)
        session.worker = worker
        worker.must_pause = session.must_pause
        self._window.begin(session.node, now)
        self._open += 1
        try:
            self._task.schedule(worker)
        except OSError as error:
            self._open -= 1
            session.worker = None
            worker.abort()
            self._drop(session, Failure(cause=Cause.LOCAL, reason=f"cannot start a process: {error.strerror}"))
            return
        for text in session.unanswered:
            worker.write(text)
        if session.at_end:
            worker.set_write_eof()

    def _write(self, node: NodeName, text: bytes, last: bool) -> None:
        session = self._sessions.get(node)
        if session is None:
            return
        if not session.heard:
            session.unanswered.append(text)
        session.at_end = session.at_end or last
        if session.worker is not None:
            session.worker.write(text)
            if last:
                session.worker.set_write_eof()

    def _put_deadline(self, node: NodeName, within_s: float | None) -> None:
        session = self._sessions.get(node)
        if session is not None:
            session.within_s = within_s
            session.ends_at = None if within_s is None else time.monotonic() + within_s

    def _end(self, node: NodeName) -> None:
        session = self._sessions.pop(node, None)
        if session is not None:
            self._window.end(node)
            if session.worker is not None:
                session.worker.abort()
        self._start_waiting()

    def ev_read(self, worker: SessionWorker, node: NodeName, sname: str, msg: bytes) -> None:
        session = self._session_of(worker, node)
        if session is None:
            return
        if not session.heard:
            session.heard = True
            session.unanswered.clear()
            self._window.end(node)
            self._start_waiting()
        session.read_bytes += cost_of(msg)
        self._events.put((Line(node=node, text=msg), session))

    def sent_too_much(self, worker: SessionWorker, what: str) -> None:
        """End the session of a client that got more than its limits allow."""
        for session in list(self._sessions.values()):
            if session.worker is worker:
                self._finish(session, Failure(cause=Cause.GARBLED, reason=what))

    def ev_hup(self, worker: SessionWorker, node: NodeName, rc: int) -> None:
        self._open -= 1
        session = self._session_of(worker, node)
        if session is None:
            self._start_waiting()
            return
        session.worker = None
        self._window.end(node)
        failure = classify(rc, worker.stderr_tail.decode("utf-8", "replace"))
        if session.may_try_again(failure, self._retries):
            self._wait_for_another_try(session, failure)
        else:
            self._finish(session, failure)

    def _session_of(self, worker: SessionWorker, node: NodeName) -> SessionState | None:
        """The session of `worker`; None if it was ended meanwhile."""
        session = self._sessions.get(node)
        return session if session is not None and session.worker is worker else None

    def _wait_for_another_try(self, session: SessionState, failure: Failure) -> None:
        """Queue another try after a random wait, so that nodes that were refused together do not retry together."""
        if failure.cause is Cause.THROTTLED:
            self._window.halve()
        session.no_sharing = session.no_sharing or failure.cause is Cause.MUX
        session.ends_at = None
        if failure.cause is Cause.LOCAL:
            self._info["ssh_lacks"].add(REMOTE_COMMAND)
        else:
            session.not_before = time.monotonic() + random.uniform(0.2, 0.6) * min(8, 2 ** (session.tries - 1))
        self._waiting.append(session)
        self._start_waiting()

    def _finish(self, session: SessionState, failure: Failure) -> None:
        self._drop(session, failure)
        self._start_waiting()

    def _drop(self, session: SessionState, failure: Failure) -> None:
        del self._sessions[session.node]
        self._window.end(session.node)
        # First: `abort` raises for a client that is being closed already.
        self._events.put((Closed(node=session.node, cause=failure.cause, reason=failure.reason), session))
        worker, session.worker = session.worker, None
        if worker is not None:
            worker.abort()
