"""The sessions that are kept, and the nodes that have failed (docs/design/kept-sessions.md).

All calls come from one thread, and nothing here waits but `take`. What to open and to close is decided in
`policy/kept_sessions.py`.
"""

import contextlib
from collections.abc import Callable

from clbalance.errors import TransportError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.policy.kept_sessions import (
    BeginNew,
    Failed,
    KeptLimits,
    KeptSessions,
    Refuse,
    TakeKept,
    Use,
    changes,
    failed_again,
    on_open,
)
from clbalance.policy.placement.select import Rng
from clbalance.ports import Clock, Closed, Line, SessionEvent, Sessions
from clbalance.random_hex import random_hex

TEND_EVERY_S = 0.2
_LOOKED_AT_EVERY = 32
"""After so many events, or when there is none: whether it is time to tend. An answer has a hundred lines."""
_TIMES_USUAL = 4.0
_USUAL_KEPT = 0.8
"""What is left of the usual time after each quicker answer."""
_MOST_UNASKED_BYTES = 64 << 10
_LINE_COST_BYTES = 64  # that each line counts on top of its length


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTimes:
    """How long a node may take: `begin_within_s` with its connection, `answer_within_s` over an open session.

    `least_s`: a node that has answered sooner may take this long, or a few times as long as usual; None: as others.
    """

    begin_within_s: float
    answer_within_s: float
    least_s: float | None = None

    def answer_s(self, usual_s: float | None) -> float:
        """The time for an answer over an open session of a node that usually takes so long; None: not known."""
        if self.least_s is None or usual_s is None:
            return self.answer_within_s
        return min(self.answer_within_s, max(self.least_s, _TIMES_USUAL * usual_s))


@dataclass(slots=True)
class _Session:
    """An open session. `ready`: the line that a session says once it is open, if it began in the background."""

    use: Use
    ready: bytes = b""
    has_answered: bool = False
    """Its end is not the node's failure, unless it came too late."""
    unasked_bytes: int = 0
    taken_s: float | None = None
    """When it was given to the view as an open one; None: it was not open then, or is not taken."""


class SessionPool:
    """Sessions of one transport. A view takes some of them, and gives back those that can be used further."""

    def __init__(
        self, begin: Callable[[], Sessions], *, clock: Clock, rng: Rng, times: KeptTimes, limits: KeptLimits
    ) -> None:
        """`begin` makes a set of sessions, once it is needed, and after one that has stopped."""
        self._begin_all = begin
        self._clock = clock
        self._rng = rng
        self._times = times
        self._limits = limits
        self._underneath: Sessions | None = None
        self._sessions: dict[NodeName, _Session] = {}
        self._free: dict[NodeName, None] = {}
        """Those that are not in use, the one that was given back first at the front."""
        self._asked_s: dict[NodeName, float] = {}
        self._usual_s: dict[NodeName, float] = {}
        """How long answers take, or were waited for."""
        self._failed: dict[NodeName, Failed] = {}
        self._tended_s = 0.0
        self._since_tended = 0
        """Events since the last look at the time."""
        self.is_used = False

    @property
    def count(self) -> int:
        """How many sessions are open or begin."""
        return len(self._sessions)

    @property
    def nodes(self) -> frozenset[NodeName]:
        """The nodes with a session that is open or begins."""
        return frozenset(self._sessions)

    @property
    def now_s(self) -> float:
        """The time, by the monotonic clock."""
        return self._clock.monotonic()

    @property
    def is_begun(self) -> bool:
        """Whether there can be events."""
        return self._underneath is not None

    def tend(self) -> None:
        """Notice what has happened, without waiting."""
        with contextlib.suppress(TransportError):  # all sessions have ended, and are begun anew when needed
            while self.is_begun and self.take(0.0) is not None:
                pass

    def end(self) -> None:
        """End all sessions."""
        underneath, self._underneath = self._underneath, None
        self._sessions.clear()
        self._free.clear()
        if underneath is not None:
            underneath.__exit__(None, None, None)

    def begin_use(self) -> None:
        """The sessions are used by a view, until `end_use`: that is called even if this fails."""
        self.is_used = True
        self.tend()
        if self._underneath is None:
            self._underneath = self._begin_all().__enter__()
        for node in self._sessions.keys() - self._underneath.open_nodes():
            self._forget(node)  # a signal came between its end and our noticing it: there are no more events

    def end_use(self) -> None:
        """The view ends: what it has not given back is closed."""
        self.is_used = False
        try:
            for node in [node for node, one in self._sessions.items() if one.use is Use.TAKEN]:
                self.drop(node)
        except TransportError:
            self.end()

    @property
    def open_sessions(self) -> Sessions:
        """The sessions underneath."""
        if self._underneath is None:
            raise TransportError("the transport has stopped")
        return self._underneath

    def open(self, node: NodeName, within_s: float) -> Failed | None:
        """Give a session to the view. None, or why there is none for now."""
        now_s = self.now_s
        self._asked_s[node] = now_s
        sessions = self.open_sessions
        match on_open(self._failed.get(node), now_s, is_kept=node in self._sessions):
            case Refuse(failed=failed):
                return failed
            case TakeKept():
                one = self._sessions[node]
                is_free, one.use, one.unasked_bytes, one.taken_s = one.use is Use.FREE, Use.TAKEN, 0, now_s
                self._free.pop(node, None)
                answer_s = self._times.answer_s(self._usual_s.get(node))
                sessions.set_deadline(node, min(within_s, answer_s) if is_free else within_s)
            case BeginNew():
                self._begin(node, _Session(Use.TAKEN), within_s)
        return None

    def release(self, node: NodeName) -> None:
        """The shell has answered all that it was sent."""
        if (one := self._sessions.get(node)) is not None:
            self._took_its_time(node, one)
            one.use, one.has_answered, one.unasked_bytes = Use.FREE, True, 0
            self._free[node] = None
            self._failed.pop(node, None)
            self.open_sessions.set_deadline(node, None)
            if len(self._sessions) > self._limits.most:  # others wait for a place
                self.drop(next(iter(self._free)))

    def drop(self, node: NodeName) -> None:
        """End the session."""
        self.open_sessions.close(node)
        self._forget(node)

    def take(self, timeout_s: float) -> SessionEvent | None:
        """The next event, handled as far as it concerns sessions that no view has taken."""
        try:
            event = self.open_sessions.next(timeout_s)
        except TransportError:
            self.end()
            raise
        if event is not None and (one := self._sessions.get(event.node)) is not None:
            match event:
                case Closed():
                    self._lost(event, one)
                case Line():
                    self._heard(event, one)
        self._since_tended += 1
        if event is None or self._since_tended >= _LOOKED_AT_EVERY:
            self._since_tended = 0
            if self.now_s - self._tended_s >= TEND_EVERY_S:
                self._tend()
        return event

    def send(self, node: NodeName, text: bytes, *, last: bool) -> None:
        """Write to the shell. `last`: it ends after that, as it should."""
        if last and (one := self._sessions.get(node)) is not None:
            one.has_answered = True
        self.open_sessions.send(node, text, last=last)

    def has_failed(self, node: NodeName, cause: Cause, reason: str) -> None:
        """Let the node wait before it is tried again."""
        self._failed[node] = failed_again(
            self._failed.get(node),
            cause,
            reason,
            limits=self._limits,
            now_s=self.now_s,
            rng=self._rng,
        )

    def _tend(self) -> None:
        self._tended_s = now_s = self.now_s
        uses = {node: one.use for node, one in self._sessions.items()}
        state = KeptSessions(uses=uses, asked_s=self._asked_s, failed=self._failed)
        todo = changes(state, self._limits, now_s)
        for node in todo.close:
            self.drop(node)
        for node in todo.begin:
            if self.is_used and node not in self._failed:
                continue  # a login would take processor time from what is waited for
            ready = random_hex()
            self._begin(node, _Session(Use.BEGINS, ready.encode()), self._times.begin_within_s)
            self.open_sessions.send(node, f"echo {ready}\n".encode())

    def _took_its_time(self, node: NodeName, session: _Session) -> None:
        """It has answered, or was given up: then it may be slow now, and gets a few times as long at the next use.

        A use that began with a login tells nothing of that.
        """
        if session.use is not Use.TAKEN or session.taken_s is None:
            return
        took_s = min(self.now_s - session.taken_s, self._times.answer_within_s)  # more if we were stopped meanwhile
        self._usual_s[node] = max(took_s, _USUAL_KEPT * self._usual_s.get(node, 0.0))

    def _forget(self, node: NodeName) -> None:
        self._sessions.pop(node, None)
        self._free.pop(node, None)

    def _begin(self, node: NodeName, session: _Session, within_s: float) -> None:
        self.open_sessions.open(node, within_s=within_s)
        self._sessions[node] = session

    def _lost(self, event: Closed, session: _Session) -> None:
        """A session has ended. One that had worked is begun again soon; if that fails, the node has failed."""
        self._forget(event.node)
        if event.cause is Cause.TIMEOUT:
            self._took_its_time(event.node, session)
        if event.cause is Cause.TIMEOUT or not session.has_answered:
            self.has_failed(event.node, event.cause, event.reason)

    def _heard(self, event: Line, session: _Session) -> None:
        if session.use is Use.TAKEN:
            session.has_answered = True
            return
        if session.use is Use.BEGINS and event.text.strip() == session.ready:
            self.release(event.node)
            return
        session.unasked_bytes += len(event.text) + _LINE_COST_BYTES
        if session.unasked_bytes > _MOST_UNASKED_BYTES:
            self.drop(event.node)
            self.has_failed(event.node, Cause.GARBLED, "it sent data that nobody had asked for")
