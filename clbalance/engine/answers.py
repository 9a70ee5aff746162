"""Turn what a node sends into an answer, and keep answers for the next sweep."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Cause, Measured, NodeName, Reading, Silent, Trend, Unknown
from clbalance.model.node_history import FailureStreak
from clbalance.policy.indices.samples import index_values
from clbalance.policy.node_memory import listen_s, marked_suspect, node_sample, not_awaited, with_streaks
from clbalance.ports import Closed, Line, Remembered, Sessions
from clbalance.probe.frame import Answered, Garbled, PendingAnswer, Section
from clbalance.probe.reading import parse_reading, rates

# What the store knows of nodes before a sweep, and what of their answers is stored.

_COMPARED_AFTER = timedelta(seconds=1)  # what rates need between two readings


@dataclass(frozen=True, slots=True)
class RememberedNodes:
    """For each node its last reading, its trends, and its failure streak."""

    readings: Mapping[NodeName, Remembered]
    trends: Mapping[NodeName, Mapping[str, Trend]]
    failure_streaks: Mapping[NodeName, FailureStreak]

    def trends_since_boot(self, node: NodeName, boot_id: str | Unknown) -> Mapping[str, Trend]:
        """The trends of the node; empty if it was booted after its last reading."""
        before = self.readings.get(node)
        return {} if before is None or before.reading.boot_id != boot_id else self.trends.get(node, {})


_NOTHING_KNOWN = RememberedNodes({}, {}, {})


def recall(services: Services, nodes: Sequence[NodeName]) -> RememberedNodes:
    """Read what the store has of `nodes`. If it cannot be read: a warning, and nothing is known."""
    store = services.store
    try:
        return RememberedNodes(
            store.last_readings(nodes), store.trends(nodes, services.clock.now()), store.failure_streaks(nodes)
        )
    except StoreError as error:
        services.listener.store_failed(error.message)
        return _NOTHING_KNOWN


def remember(services: Services, at: datetime, answers: Iterable[Answer], earlier: RememberedNodes) -> None:
    """Store the answers, apart from readings that come too soon after the last. A warning if that fails."""
    worth = _worth_remembering(answers, earlier.readings, at)
    measured = [answer for answer in worth if isinstance(answer, Measured)]
    readings = {answer.node: answer.reading for answer in measured}
    past = {answer.node: look for answer in worth if (look := node_sample(answer)) is not None}
    try:
        services.store.remember(at, readings, {answer.node: index_values(answer) for answer in measured}, past)
    except StoreError as error:
        services.listener.store_failed(error.message)


def with_suspects(
    services: Services, at: datetime, answers: Sequence[Answer], earlier: RememberedNodes
) -> tuple[Answer, ...]:
    """Mark the suspects among the answers, and store the failure streaks that have changed."""
    streaks = earlier.failure_streaks
    changed = with_streaks(answers, streaks, now_s=at.timestamp(), suspect_after=services.suspect_after)
    if changed:
        try:
            services.store.save_failure_streaks(at, changed)
        except StoreError as error:
            services.listener.store_failed(error.message)
    no_failures = FailureStreak()
    known = (changed.get(answer.node) or streaks.get(answer.node, no_failures) for answer in answers)
    return tuple(map(marked_suspect, answers, known))


def _worth_remembering(answers: Iterable[Answer], earlier: Mapping[NodeName, Remembered], at: datetime) -> list[Answer]:
    """Leave out a reading that comes too soon after the last: with frequent sweeps no node would ever have rates."""
    return [
        answer
        for answer in answers
        if isinstance(answer, Silent) or not _is_too_soon(earlier.get(answer.node), answer.reading, at)
    ]


def _is_too_soon(before: Remembered | None, reading: Reading, at: datetime) -> bool:
    if before is None or before.reading.boot_id != reading.boot_id:
        return False
    return timedelta(0) <= at - before.at < _COMPARED_AFTER


LISTEN_S = 1.0
"""The longest wait for an event before the pending nodes are looked at again."""
_NEVER_ASKED = Unknown(reason="no earlier measurement to compare with")


def next_answer(
    services: Services,
    sessions: Sessions,
    pending: dict[NodeName, PendingAnswer],
    earlier: RememberedNodes,
    within_s: float,
) -> Answer | None:
    """The answer that the next event completes, removed from `pending`. None if no answer is complete."""
    event = sessions.next(within_s)
    if event is None or event.node not in pending:
        return None
    match event:
        case Closed(node=node, cause=cause, reason=reason):
            del pending[node]
            return Silent(node=node, cause=cause, reason=reason)
        case Line(node=node, text=text):
            match pending[node].frame.feed(text):
                case None:
                    return None
                case Garbled(reason=reason):
                    del pending[node]
                    sessions.close(node)
                    return Silent(node=node, cause=Cause.GARBLED, reason=reason)
                case Answered(sections=sections):
                    rtt_s = services.clock.monotonic() - pending.pop(node).at
                    return _measured(services, node, sections, rtt_s, earlier)


def listens_for_s(
    services: Services, pending: Iterable[NodeName], earlier: RememberedNodes, measured_at: float | None
) -> float:
    """How long a placement still waits for an event. 0: give up the silent suspects now (docs/design/suspect.md)."""
    quiet_s = None if measured_at is None else services.clock.monotonic() - measured_at
    left = None if services.suspect_after is None else listen_s(pending, earlier.failure_streaks, quiet_s=quiet_s)
    return LISTEN_S if left is None else min(LISTEN_S, left)


def give_up(services: Services, sessions: Sessions, pending: Iterable[NodeName]) -> dict[NodeName, Answer]:
    """Close the sessions; return a Silent answer for each node."""
    answers: dict[NodeName, Answer] = {}
    for node in pending:
        sessions.close(node)
        answers[node] = not_awaited(node)
        services.listener.answered(node)
    return answers


def _measured(
    services: Services, node: NodeName, sections: Mapping[str, Section], rtt_s: float, earlier: RememberedNodes
) -> Measured:
    reading = parse_reading(sections)
    before = earlier.readings.get(node)
    return Measured(
        node=node,
        reading=reading,
        rates=_NEVER_ASKED if before is None else rates(before.reading, before.at, reading, services.clock.now()),
        rtt_s=rtt_s,
        cpu_factor=services.cpu_factors.get(node, 1.0),
        slots=services.slots.get(node),
        trends=earlier.trends_since_boot(node, reading.boot_id),
        labels=services.labels.get(node, {}),
        taints=services.taints.get(node, frozenset()),
    )
