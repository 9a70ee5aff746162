"""ClusterShell's loop in the transport thread: starts the sessions, keeps their deadlines and their retries.

Deadlines of nodes are kept here, by the monotonic clock, independently of node and ssh. `fanout` limits the connections
that are made at once, the limit on open files the open sessions.
"""

import logging
import queue
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from ClusterShell.Defaults import Defaults
from ClusterShell.Event import EventHandler
from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

from clbalance.model import Cause, NodeName
from clbalance.ports import Closed
from clbalance.transport.clustershell_task import Task, task_self, task_terminate
from clbalance.transport.connect_window import ConnectWindow
from clbalance.transport.session_client import SessionWorker, WakeUp
from clbalance.transport.session_state import Retries, SessionState, cost_of
from clbalance.transport.ssh_command import REMOTE_COMMAND
from clbalance.transport.ssh_failure import Failure, classify

_TICK_S = 0.1  # resolution of deadlines and of waits before a retry
_MOST_UNTAKEN = 200  # events that wait for the engine while connections are begun: the answers of some dozen nodes
_LOOKED_AT_WITHIN_S = 0.3  # for the engine to handle a line that it has taken

# Without a handler, logging would print ClusterShell's warnings (a broken pipe is one) to our stderr.
logging.getLogger("ClusterShell").addHandler(logging.NullHandler())

Lines: TypeAlias = list[bytes]
"""What was read of a node at once."""

MakeWorker: TypeAlias = Callable[[NodeSet, EventHandler, bool], SessionWorker]
"""`make_worker(node, handler, no_sharing)` decides how a node is reached."""


class SessionLoop(EventHandler):  # type: ignore[misc]  # ClusterShell ships no types
    """All but `hand_over` is called in the transport thread. Steps come in by a queue, events go out by another one."""

    def __init__(
        self, make_worker: MakeWorker, *, info: dict[str, Any], fanout: int, capacity: int, retries: Retries
    ) -> None:
        self._make_worker = make_worker
        self._info = info
        self._window = ConnectWindow(fanout)
        self._capacity = capacity
        self._retries = retries
        self.events: queue.SimpleQueue[tuple[Closed | Lines, SessionState] | BaseException | None] = queue.SimpleQueue()
        self.ready: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.gone: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.has_stopped = False
        self._steps: queue.SimpleQueue[tuple[Callable[..., None], tuple[object, ...]]] = queue.SimpleQueue()
        self._alarm: WakeUp | None = None
        self._is_woken = False
        """And has not looked for steps since. A tick makes up for a wake-up that was lost to a signal."""
        self._sessions: dict[NodeName, SessionState] = {}
        self._watched: dict[NodeName, SessionState] = {}
        """Those of them that may have a deadline, or wait for the engine: of thousands most are still to be begun."""
        self._waiting: deque[SessionState] = deque()
        self._open = 0

    def hand_over(self, step: Callable[..., None], *arguments: object) -> None:
        """Have a method of this class called in the transport thread. In any thread."""
        self._steps.put((step, arguments))
        if self._alarm is not None and not self._is_woken:
            self._is_woken = True
            self._alarm.wake()

    def hand_over_later(self, step: Callable[..., None], *arguments: object) -> None:
        """The same, at the next tick at the latest: to wake the loop is as dear as an answer."""
        self._steps.put((step, arguments))

    def run(self) -> None:
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
            self.ready.put(None)
            self._task.resume()
        except BaseException as error:  # noqa: BLE001 - the engine's thread must learn of any error
            self.events.put(error)
        finally:
            self.has_stopped = True
            task_terminate()
            self.gone.put(None)

    def abort(self) -> None:
        self._sessions.clear()
        self._watched.clear()
        self._waiting.clear()
        self._task.abort()

    def ev_wake(self) -> None:
        """Carry out the queued calls, in order."""
        self._is_woken = False  # first: a step that comes from now on may be too late for this look
        while not self._steps.empty():
            step, arguments = self._steps.get_nowait()
            step(*arguments)

    def ev_timer(self, timer: object) -> None:
        self.ev_wake()  # a call whose wake-up was lost to a signal
        now = time.monotonic()
        for session in list(self._watched.values()):
            if session.may_go_on:
                self.go_on_reading(session)
            if session.hangs_on_shared(now):
                self._connect_anew(session)
            if session.ends_at is None:
                continue
            if session.untaken_bytes:  # the answer may be among it: wait until the engine has looked
                session.ends_at = max(session.ends_at, now + _LOOKED_AT_WITHIN_S)
            elif now >= session.ends_at:
                self._finish(session, Failure(cause=Cause.TIMEOUT, reason=f"no answer within {session.within_s:g} s"))
        self._start_waiting()

    def go_on_reading(self, session: SessionState) -> None:
        if session.is_paused and session.worker is not None:
            session.is_paused = False
            session.worker.go_on_reading()

    def open_session(self, node: NodeName, within_s: float, opened: int) -> None:
        session = SessionState(node, within_s, opened)
        self._sessions[node] = session
        self._waiting.append(session)
        self._start_waiting()

    def _start_waiting(self) -> None:
        if self.events.qsize() > _MOST_UNTAKEN:  # nodes answer faster than the engine can read: at the next tick
            return
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
        session.begin(now)
        self._watched[session.node] = session
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
        if worker.is_on_shared:
            session.on_shared_since = now
        for text in session.unanswered:
            worker.write(text)
        if session.at_end:
            worker.set_write_eof()

    def write(self, node: NodeName, text: bytes, last: bool) -> None:
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

    def put_first_deadline(self, node: NodeName, within_s: float) -> None:
        """Of a session that has none yet. It starts now; or with the connection, if that is still to be begun."""
        session = self._sessions.get(node)
        if session is not None:
            session.within_s = within_s
            session.ends_at = None if session.worker is None else time.monotonic() + within_s

    def put_deadline(self, node: NodeName, within_s: float | None, ends_at: float | None) -> None:
        session = self._sessions.get(node)
        if session is not None:
            session.within_s, session.ends_at = within_s, ends_at
            self._watched[node] = session

    def end(self, node: NodeName) -> None:
        session = self._sessions.pop(node, None)
        self._watched.pop(node, None)
        if session is not None:
            self._window.end(node)
            if session.worker is not None:
                session.worker.abort()
        self._start_waiting()

    def wrote(self, worker: SessionWorker, node: NodeName, lines: Lines) -> None:
        session = self._session_of(worker, node)
        if session is None:
            return
        if not session.heard:
            session.heard = True
            session.unanswered.clear()
            self._window.end(node)
            self._start_waiting()
        session.read_bytes += cost_of(lines)
        self.events.put((lines, session))

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
            # Behind a jump host that refuses, it looks as if the node throttled: without sharing, ssh tells the reason.
            may_be_hidden = failure.cause is Cause.THROTTLED and worker.may_share
            session.no_sharing = session.no_sharing or failure.cause is Cause.MUX or may_be_hidden
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
        session.ends_at = None
        if failure.cause is Cause.LOCAL:
            self._info["ssh_lacks"].add(REMOTE_COMMAND)
        else:
            session.not_before = time.monotonic() + random.uniform(0.2, 0.6) * min(8, 2 ** (session.tries - 1))
        self._waiting.append(session)
        self._start_waiting()

    def _connect_anew(self, session: SessionState) -> None:
        """Have a session that hangs on a shared connection begin again on one of its own, within its deadline."""
        worker, session.worker = session.worker, None
        session.bypass_sharing()
        self._window.end(session.node)
        self._waiting.appendleft(session)
        if worker is not None:
            worker.abort()
        self._start_waiting()

    def _finish(self, session: SessionState, failure: Failure) -> None:
        self._drop(session, failure)
        self._start_waiting()

    def _drop(self, session: SessionState, failure: Failure) -> None:
        del self._sessions[session.node]
        self._watched.pop(session.node, None)
        self._window.end(session.node)
        # First: `abort` raises for a client that is being closed already.
        self.events.put((Closed(node=session.node, cause=failure.cause, reason=failure.reason), session))
        worker, session.worker = session.worker, None
        if worker is not None:
            worker.abort()
