"""Ask a set of nodes at once; every one of them answers or is silent with a reason, none delays another."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from clbalance.engine.world import World
from clbalance.errors import StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Cause, Measured, NodeName, Reading, Silent, Snapshot, Trend, Unknown
from clbalance.policy.past_look import past_look
from clbalance.policy.samples import samples_of
from clbalance.policy.suspect import marked_suspect, strained
from clbalance.ports import Closed, Line, Remembered, Sessions
from clbalance.probe.frame import Answered, Frame, Garbled, probe_request
from clbalance.probe.rates import rates
from clbalance.probe.reading import parse_reading
from clbalance.strain import Strain

_NEVER_ASKED = Unknown(why="no earlier measurement to compare with")
_COMPARED_AFTER = timedelta(seconds=1)  # what rates need between two readings


@dataclass(frozen=True, slots=True)
class _Asked:
    """A node whose answer is awaited."""

    frame: Frame
    at: float


@dataclass(frozen=True, slots=True)
class _Memory:
    """What was known of nodes before they were asked."""

    readings: Mapping[NodeName, Remembered]
    trends: Mapping[NodeName, Mapping[str, Trend]]
    strains: Mapping[NodeName, Strain]

    def trends_since_boot(self, node: NodeName, boot_id: str | Unknown) -> Mapping[str, Trend]:
        before = self.readings.get(node)
        return {} if before is None or before.reading.boot_id != boot_id else self.trends.get(node, {})


_NOTHING_KNOWN = _Memory({}, {}, {})


def sweep(world: World, sessions: Sessions, nodes: Sequence[NodeName], *, keep_open: int = 0) -> Snapshot:
    """The snapshot of `nodes`; of those that answer, the first `keep_open` keep their session."""
    earlier = _recall(world, nodes)
    awaited = _ask_all(world, sessions, nodes, last=keep_open == 0)
    answers: dict[NodeName, Answer] = {}
    world.listener.asked(len(nodes))
    try:
        while awaited:
            answer = _next_answer(world, sessions, awaited, earlier)
            if answer is None:
                continue
            answers[answer.node] = answer
            world.listener.answered(answer.node)
            if isinstance(answer, Measured) and keep_open:
                _keep_or_close(sessions, answer.node, kept=len(sessions.open_nodes()) - len(awaited), most=keep_open)
    finally:
        world.listener.done()
    taken_at = world.clock.now()
    _remember(world, taken_at, _worth_remembering(answers.values(), earlier.readings, taken_at))
    return Snapshot(taken_at=taken_at, answers=_with_suspects(world, taken_at, [answers[n] for n in nodes], earlier))


def _keep_or_close(sessions: Sessions, node: NodeName, kept: int, most: int) -> None:
    """A session that is kept has done what its deadline was for."""
    if kept > most:
        sessions.close(node)
    else:
        sessions.set_deadline(node, None)


def _with_suspects(world: World, at: datetime, answers: Sequence[Answer], earlier: _Memory) -> tuple[Answer, ...]:
    """The same answers, those of suspects marked; how often they failed in a row is kept, where that has changed."""
    strains = earlier.strains
    changed = strained(answers, strains, now_s=at.timestamp(), suspect_after=world.suspect_after)
    if changed:
        try:
            world.store.keep_strains(at, changed)
        except StoreError as error:
            world.listener.forgot(error.message)
    unstrained = Strain()
    known = (changed.get(answer.node) or strains.get(answer.node, unstrained) for answer in answers)
    return tuple(map(marked_suspect, answers, known))


def _recall(world: World, nodes: Sequence[NodeName]) -> _Memory:
    store = world.store
    try:
        return _Memory(store.last_readings(nodes), store.trends(nodes, world.clock.now()), store.strains(nodes))
    except StoreError as error:
        world.listener.forgot(error.message)
        return _NOTHING_KNOWN


def _remember(world: World, at: datetime, answers: Sequence[Answer]) -> None:
    measured = [answer for answer in answers if isinstance(answer, Measured)]
    readings = {answer.node: answer.reading for answer in measured}
    past = {answer.node: look for answer in answers if (look := past_look(answer)) is not None}
    try:
        world.store.remember(at, readings, {answer.node: samples_of(answer) for answer in measured}, past)
    except StoreError as error:
        world.listener.forgot(error.message)


def _worth_remembering(answers: Iterable[Answer], earlier: Mapping[NodeName, Remembered], at: datetime) -> list[Answer]:
    """All but where the last reading is too fresh: asked too often, no node would ever have rates."""
    return [
        answer
        for answer in answers
        if isinstance(answer, Silent) or not _is_too_soon(earlier.get(answer.node), answer.reading, at)
    ]


def _is_too_soon(before: Remembered | None, reading: Reading, at: datetime) -> bool:
    if before is None or before.reading.boot_id != reading.boot_id:
        return False
    return timedelta(0) <= at - before.at < _COMPARED_AFTER


def _ask_all(world: World, sessions: Sessions, nodes: Iterable[NodeName], *, last: bool) -> dict[NodeName, _Asked]:
    awaited = {}
    for node in nodes:
        nonce = secrets.token_hex(16)
        sessions.open(node, within_s=world.answer_within_s)
        sessions.send(node, probe_request(world.probe_script, nonce), last=last)
        awaited[node] = _Asked(Frame(nonce), world.clock.monotonic())
    return awaited


def _next_answer(world: World, sessions: Sessions, awaited: dict[NodeName, _Asked], earlier: _Memory) -> Answer | None:
    """The answer that the next event completes, taken out of `awaited`; None where it completes none."""
    event = sessions.next(1.0)
    if event is None or event.node not in awaited:
        return None
    match event:
        case Closed(node=node, cause=cause, why=why):
            del awaited[node]
            return Silent(node=node, cause=cause, why=why)
        case Line(node=node, text=text):
            return _heard(world, sessions, awaited, earlier, node, text)


def _heard(
    world: World,
    sessions: Sessions,
    awaited: dict[NodeName, _Asked],
    earlier: _Memory,
    node: NodeName,
    line: bytes,
) -> Answer | None:
    match awaited[node].frame.feed(line):
        case None:
            return None
        case Garbled(why=why):
            del awaited[node]
            sessions.close(node)
            return Silent(node=node, cause=Cause.GARBLED, why=why)
        case Answered(sections=sections):
            asked = awaited.pop(node)
            reading = parse_reading(sections)
            before = earlier.readings.get(node)
            return Measured(
                node=node,
                reading=reading,
                rates=_NEVER_ASKED if before is None else rates(before.reading, before.at, reading, world.clock.now()),
                rtt_s=world.clock.monotonic() - asked.at,
                cpu_factor=world.cpu_factors.get(node, 1.0),
                slots=world.slots.get(node),
                trends=earlier.trends_since_boot(node, reading.boot_id),
                labels=world.labels.get(node, {}),
                taints=world.taints.get(node, frozenset()),
            )
