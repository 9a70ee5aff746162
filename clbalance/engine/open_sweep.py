"""The nodes of one sweep, and their answers as they come."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from clbalance.engine.answers import RememberedNodes, measured_answer, recall, remember
from clbalance.engine.services import Services
from clbalance.model import Answer, Cause, Measured, NodeName, Silent, Snapshot
from clbalance.model.node_history import FailureStreak
from clbalance.policy.node_memory import marked, with_streaks
from clbalance.policy.placement.quorum import Enough, Quorum, not_awaited
from clbalance.ports import Closed, Line, SessionEvent, Sessions
from clbalance.probe.frame import Answered, Garbled, PendingAnswer, Section

_LISTEN_S = 1.0
"""The longest wait for an event before the pending nodes are looked at again."""
_NO_FAILURES = FailureStreak()


class OpenSweep:
    """Nodes that were asked at once. Each is pending until it has answered or failed, at its own deadline at last."""

    def __init__(
        self,
        services: Services,
        sessions: Sessions,
        nodes: Sequence[NodeName],
        pending: dict[NodeName, PendingAnswer],
        *,
        keep_open: int,
        keep_if: Callable[[Measured], bool],
        unasked: Mapping[NodeName, Silent],
        earlier: RememberedNodes | None,
    ) -> None:
        self._services = services
        self.sessions = sessions
        self._nodes = nodes
        self._keep_open = keep_open
        self._keep_if = keep_if
        self._asked_at = min((one.at for one in pending.values()), default=0.0)
        self._came: dict[NodeName, tuple[Answer, float]] = {}
        """The answers, in the order in which they came, and how many seconds after the question."""
        self._sections: dict[NodeName, Mapping[str, Section]] = {}
        """What the nodes that were measured have sent."""
        self._remembered: set[NodeName] = set()
        self._pending = pending
        self._unasked = dict(unasked)
        self._asked_last_s = 0.0
        """How many seconds after the first question the last nodes were asked."""
        self.sent_more: Collection[NodeName] = ()
        """Nodes that were sent more than the probe: when it is answered, their shells are not free."""
        self.overhear: Callable[[SessionEvent], object] = lambda _: None
        """Is told of events of nodes that are not pending."""
        services.listener.asked(len(pending))
        self._earlier = recall(services, nodes) if earlier is None else earlier

    @property
    def is_over(self) -> bool:
        """Whether no node is pending."""
        return not self._pending

    @property
    def is_of_all(self) -> bool:
        """Whether every node was asked."""
        return not self._unasked

    def add(self, pending: Mapping[NodeName, PendingAnswer]) -> None:
        """These nodes have been asked now, too."""
        self._pending |= pending
        self._asked_last_s = self._elapsed_s()
        for node in pending:
            del self._unasked[node]
        self._services.listener.asked(len(pending))

    def listen(self, enough: Enough | None = None) -> None:
        """Take answers until no node is pending; or, if `enough` have answered, until the others are late."""
        for node in self._pending.keys() - self.sessions.open_nodes():
            del self._pending[node]  # its session was closed meanwhile, and sends no more events
        quorum = None if enough is None else self._quorum(enough)
        try:
            self._services.listener.awaiting(self._pending.keys())
            while self._pending and (within_s := self._listens_for_s(quorum)) > 0:
                event = self.sessions.next(within_s)
                answer = None if event is None else self.take(event)
                if event is None or answer is not None:
                    self._services.listener.awaiting(self._pending.keys())
                if quorum is not None and answer is not None:
                    self._add(quorum, answer)
        finally:
            self._services.listener.done()

    def take(self, event: SessionEvent) -> Answer | None:
        """The answer that this event completes; its node is not pending any more. None: it completes none."""
        if event.node not in self._pending:
            self.overhear(event)
            return None
        if (answer := self._completed(event)) is None:
            return None
        del self._pending[answer.node]
        self._came[answer.node] = answer, self._elapsed_s()
        self._services.listener.answered(answer.node)
        if isinstance(answer, Measured):
            self._keep_or_release(answer)
        return self._marked(answer, self._changed_streaks([answer]))

    def give_back(self, node: NodeName) -> None:
        """End the use of its session. If it has answered, and was sent nothing else, its shell is free."""
        is_free = node in self._came and node not in self.sent_more
        (self.sessions.release if is_free else self.sessions.close)(node)

    def came_at(self, node: NodeName) -> datetime:
        """When the node has answered, by our clock as it stands now."""
        return self._services.clock.now() - timedelta(seconds=self._elapsed_s() - self._came[node][1])

    def snapshot(self, *, final: bool = True) -> Snapshot:
        """The answers so far; pending nodes are silent, as not awaited. `final`: later sweeps know of these answers."""
        answers = [self._answer_of(node) for node in self._nodes]
        at, streaks = self._services.clock.now(), self._changed_streaks(answers)
        if final:
            new = self._came.keys() - self._remembered
            came_at = {node: self.came_at(node) for node in new}
            fresh = [one for one in answers if one.node in new]
            remember(self._services, at, fresh, streaks, self._earlier, came_at, self._sections)
            self._remembered.update(self._came)
        return Snapshot(taken_at=at, answers=tuple(self._marked(answer, streaks) for answer in answers))

    def _answer_of(self, node: NodeName) -> Answer:
        if node in self._came:
            return self._came[node][0]
        return self._unasked.get(node) or not_awaited(node, self._elapsed_s())

    def _quorum(self, enough: Enough) -> Quorum:
        asked = [node for node in self._nodes if node not in self._unasked]
        trusted = len(asked) if enough.with_suspects else sum(map(self._is_trusted, asked))
        quorum = Quorum(trusted, enough, self._services.grace_s, asked_s=self._asked_last_s)
        for answer, _ in self._came.values():
            self._add(quorum, self._marked(answer, self._changed_streaks([answer])))
        return quorum

    def _add(self, quorum: Quorum, answer: Answer) -> None:
        quorum.add(answer, self._came[answer.node][1], trusted=self._is_trusted(answer.node))

    def _completed(self, event: SessionEvent) -> Answer | None:
        node, asked = event.node, self._pending[event.node]
        match event:
            case Closed(cause=cause, reason=reason):
                return Silent(node=node, cause=cause, reason=reason)
            case Line(text=text):
                match asked.frame.feed(text):
                    case None:
                        return None
                    case Garbled(reason=reason):
                        self.sessions.close(node, fault=reason)
                        return Silent(node=node, cause=Cause.GARBLED, reason=reason)
                    case Answered(sections=sections):
                        rtt_s = self._services.clock.monotonic() - asked.at
                        self._sections[node] = sections
                        return measured_answer(self._services, node, sections, rtt_s, self._earlier)

    def _keep_or_release(self, answer: Measured) -> None:
        """A kept session loses its deadline: that was for the answer."""
        kept = self.sessions.open_count() - len(self._pending)
        if kept > self._keep_open or not self._keep_if(answer):
            self.give_back(answer.node)
        else:
            self.sessions.set_deadline(answer.node, None)

    def _listens_for_s(self, quorum: Quorum | None) -> float:
        go_on_at = None if quorum is None else quorum.go_on_at
        return _LISTEN_S if go_on_at is None else min(_LISTEN_S, go_on_at - self._elapsed_s())

    def _elapsed_s(self) -> float:
        return self._services.clock.monotonic() - self._asked_at

    def _is_trusted(self, node: NodeName) -> bool:
        """Whether it was not suspect before this sweep."""
        streak = self._earlier.failure_streaks.get(node, _NO_FAILURES)
        return self._services.suspect_after is None or not streak.suspect

    def _marked(self, answer: Answer, changed: Mapping[NodeName, FailureStreak]) -> Answer:
        """The answer, marked if its node is suspect, or has just refused a job. `changed`: the streaks that this sweep
        has changed.
        """
        known = self._earlier.failure_streaks.get(answer.node, _NO_FAILURES)
        streak = changed.get(answer.node, known)
        now_s = self._services.clock.now().timestamp()
        return marked(answer, streak, now_s=now_s)

    def _changed_streaks(self, answers: Sequence[Answer]) -> dict[NodeName, FailureStreak]:
        return with_streaks(
            answers,
            self._earlier.failure_streaks,
            now_s=self._services.clock.now().timestamp(),
            suspect_after=self._services.suspect_after,
        )
