"""Wait until nothing runs any more on nodes that are drained: look at just those, ever less often."""

from collections.abc import Callable, Sequence
from typing import Final

from clbalance.engine.measure import measure
from clbalance.engine.world import World
from clbalance.model import NodeName
from clbalance.policy.drain_progress import Rest, is_over, rest_on

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 15.0
_GROWTH: Final = 1.5


def await_drained(
    world: World,
    nodes: Sequence[NodeName],
    within_s: float | None,
    tell: Callable[[tuple[Rest, ...]], None],
    enough: Callable[[tuple[Rest, ...]], bool] = is_over,
) -> tuple[Rest, ...]:
    """How it stands when that is enough, or after `within_s` seconds (None: however long it takes).

    `tell` hears of every look, and may take its time.
    """
    begun_at = world.clock.monotonic()
    pause_s = _FIRST_PAUSE_S
    while True:
        snapshot = measure(world, nodes)
        rests = tuple(rest_on(answer, snapshot.taken_at) for answer in snapshot.answers)
        tell(rests)
        left_s = _LONGEST_PAUSE_S if within_s is None else begun_at + within_s - world.clock.monotonic()
        if enough(rests) or left_s <= 0:
            return rests
        world.clock.pause(min(pause_s, left_s))
        pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)
