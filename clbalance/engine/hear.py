"""From what a node says to its answer: a frame is filled line by line, then measured against what was known before."""

from collections.abc import Iterable, Mapping

from clbalance.engine.awaited import Awaited
from clbalance.engine.memory import Memory
from clbalance.engine.world import World
from clbalance.model import Answer, Cause, Measured, NodeName, Silent, Unknown
from clbalance.policy.suspect import not_awaited, patience_s
from clbalance.ports import Closed, Line, Sessions
from clbalance.probe.frame import Answered, Garbled, Section
from clbalance.probe.rates import rates
from clbalance.probe.reading import parse_reading

LISTEN_S = 1.0
"""At most, before it is looked at who is still awaited."""
_NEVER_ASKED = Unknown(why="no earlier measurement to compare with")


def next_answer(
    world: World, sessions: Sessions, awaited: dict[NodeName, Awaited], earlier: Memory, within_s: float
) -> Answer | None:
    """The answer that the next event completes, taken out of `awaited`; None where it completes none, or none comes."""
    event = sessions.next(within_s)
    if event is None or event.node not in awaited:
        return None
    match event:
        case Closed(node=node, cause=cause, why=why):
            del awaited[node]
            return Silent(node=node, cause=cause, why=why)
        case Line(node=node, text=text):
            match awaited[node].frame.feed(text):
                case None:
                    return None
                case Garbled(why=why):
                    del awaited[node]
                    sessions.close(node)
                    return Silent(node=node, cause=Cause.GARBLED, why=why)
                case Answered(sections=sections):
                    rtt_s = world.clock.monotonic() - awaited.pop(node).at
                    return _measured(world, node, sections, rtt_s, earlier)


def listens_for_s(world: World, awaited: Iterable[NodeName], earlier: Memory, measured_at: float | None) -> float:
    """Of a placement: until suspects that are left alone are given up; 0 where it is time (docs/design/suspect.md)."""
    quiet_s = None if measured_at is None else world.clock.monotonic() - measured_at
    left = None if world.suspect_after is None else patience_s(awaited, earlier.strains, quiet_s=quiet_s)
    return LISTEN_S if left is None else min(LISTEN_S, left)


def give_up(world: World, sessions: Sessions, awaited: Iterable[NodeName]) -> dict[NodeName, Answer]:
    """Hang up on them; what is said of each."""
    answers: dict[NodeName, Answer] = {}
    for node in awaited:
        sessions.close(node)
        answers[node] = not_awaited(node)
        world.listener.answered(node)
    return answers


def _measured(world: World, node: NodeName, sections: Mapping[str, Section], rtt_s: float, earlier: Memory) -> Measured:
    reading = parse_reading(sections)
    before = earlier.readings.get(node)
    return Measured(
        node=node,
        reading=reading,
        rates=_NEVER_ASKED if before is None else rates(before.reading, before.at, reading, world.clock.now()),
        rtt_s=rtt_s,
        cpu_factor=world.cpu_factors.get(node, 1.0),
        slots=world.slots.get(node),
        trends=earlier.trends_since_boot(node, reading.boot_id),
        labels=world.labels.get(node, {}),
        taints=world.taints.get(node, frozenset()),
    )
