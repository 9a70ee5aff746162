"""How level a pool can become at best: what no plan can beat, for a plan to be told by.

No level is below the mean; below what cannot be moved off its node; below what the largest job makes of the node that
it loads least; nor below what it takes for some node to hold one of the k largest jobs more than its share.
"""

import math
from collections.abc import Sequence

_MOST_SIZES = 32
"""Sizes of jobs of which the last is asked, evenly spread: each costs a look at all nodes."""
_HALVINGS = 40


def lower_bound(fixed: Sequence[float], capacity: Sequence[float], weights: Sequence[float]) -> float:
    """Of the largest level, where `fixed` cpus stay on each node and jobs of these weights go anywhere."""
    if not capacity:
        return 0.0
    total = math.fsum(fixed) + math.fsum(weights)
    bound = max(total / math.fsum(capacity), *[cpus / have for cpus, have in zip(fixed, capacity, strict=True)])
    falling = sorted((weight for weight in weights if weight > 0.0), reverse=True)
    last_of_size = [at for at, weight in enumerate(falling) if falling[at + 1 : at + 2] != [weight]]
    step = max(1, math.ceil(len(last_of_size) / _MOST_SIZES))
    for at in last_of_size[::step]:
        bound = _for_as_many(at + 1, falling[at], bound, fixed, capacity)
    return bound


def _for_as_many(count: int, weight: float, bound: float, fixed: Sequence[float], capacity: Sequence[float]) -> float:
    """The level at which the nodes hold `count` jobs of this weight, if that is above `bound`."""

    def hold(level: float) -> bool:
        room = [math.floor((level * have - cpus) / weight + 1e-9) for cpus, have in zip(fixed, capacity, strict=True)]
        return sum(max(0, jobs) for jobs in room) >= count

    if hold(bound):
        return bound
    below, above = bound, bound + count * weight / max(capacity)
    for _ in range(_HALVINGS):
        middle = (below + above) / 2.0
        below, above = (below, middle) if hold(middle) else (middle, above)
    return below
