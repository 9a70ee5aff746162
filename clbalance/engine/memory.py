"""What was known of nodes before they were asked, and what is kept of their answers."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from clbalance.engine.world import World
from clbalance.errors import StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Measured, NodeName, Reading, Silent, Trend, Unknown
from clbalance.policy.past_look import past_look
from clbalance.policy.samples import samples_of
from clbalance.policy.suspect import marked_suspect, strained
from clbalance.ports import Remembered
from clbalance.strain import Strain

_COMPARED_AFTER = timedelta(seconds=1)  # what rates need between two readings


@dataclass(frozen=True, slots=True)
class Memory:
    """Of each node its last reading, its trends, and how often it failed in a row."""

    readings: Mapping[NodeName, Remembered]
    trends: Mapping[NodeName, Mapping[str, Trend]]
    strains: Mapping[NodeName, Strain]

    def trends_since_boot(self, node: NodeName, boot_id: str | Unknown) -> Mapping[str, Trend]:
        """None where it has booted since."""
        before = self.readings.get(node)
        return {} if before is None or before.reading.boot_id != boot_id else self.trends.get(node, {})


_NOTHING_KNOWN = Memory({}, {}, {})


def recall(world: World, nodes: Sequence[NodeName]) -> Memory:
    """What the store has of `nodes`; nothing, and a warning, where it cannot be read."""
    store = world.store
    try:
        return Memory(store.last_readings(nodes), store.trends(nodes, world.clock.now()), store.strains(nodes))
    except StoreError as error:
        world.listener.forgot(error.message)
        return _NOTHING_KNOWN


def remember(world: World, at: datetime, answers: Iterable[Answer], earlier: Memory) -> None:
    """Keep what is worth it; a warning where that cannot be written."""
    worth = _worth_remembering(answers, earlier.readings, at)
    measured = [answer for answer in worth if isinstance(answer, Measured)]
    readings = {answer.node: answer.reading for answer in measured}
    past = {answer.node: look for answer in worth if (look := past_look(answer)) is not None}
    try:
        world.store.remember(at, readings, {answer.node: samples_of(answer) for answer in measured}, past)
    except StoreError as error:
        world.listener.forgot(error.message)


def with_suspects(world: World, at: datetime, answers: Sequence[Answer], earlier: Memory) -> tuple[Answer, ...]:
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
