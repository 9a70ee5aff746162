"""The waiting lists by name: in which order jobs are started, and whether one may pass another."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.policy.waiting import Held, Room, Running, Start, Waiting, as_they_fit
from clbalance.policy.waiting_backfill import with_backfill

_HOUR_S: Final = 3600.0
_SHORTEST_S: Final = 10.0
"""As in bounded slowdown: what runs for a second is not worth a place before everybody after a minute."""

_Order: TypeAlias = Callable[[Waiting, float], tuple[float, ...]]
"""Of one that waits, at a time in seconds; the smallest is first."""


def points(waiting: Waiting, now_s: float) -> float:
    """Its priority, and a point for each time that it has waited as long as it will run, or an hour if none knows.

    So nobody starves, and short ones come up quickly: among equals, the largest expansion factor
    (wait + run) / run is first, the order of LXF backfilling (Chiang, Arpaci-Dusseau and Vernon, JSSPP 2002).
    """
    own_length_s = _HOUR_S if waiting.estimate_s is None else max(waiting.estimate_s, _SHORTEST_S)
    return waiting.priority + (now_s - waiting.since_s) / own_length_s


def _shortest(waiting: Waiting, _: float) -> tuple[float, ...]:
    return math.inf if waiting.estimate_s is None else waiting.estimate_s, waiting.since_s


def _most_points(waiting: Waiting, now_s: float) -> tuple[float, ...]:
    return -points(waiting, now_s), waiting.since_s


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingList:
    """`order` and `backfill_order` None: as they came."""

    told: str
    order: _Order | None = None
    passing: bool = True
    """Whether others may pass the first that does not fit, as far as they do not delay it."""
    backfill_order: _Order | None = None

    def to_start(
        self, waiting: Sequence[Waiting], running: Iterable[Running[Held]], room: Room[Held], now_s: float
    ) -> list[Start[Held]]:
        """Which of those that wait, given in the order in which they came, are started now; `room` holds them then."""
        order, behind = self.order, self.backfill_order
        queue = waiting if order is None else sorted(waiting, key=lambda one: order(one, now_s))
        if not self.passing:
            return as_they_fit(queue, room)
        return with_backfill(queue, running, room, now_s, by=None if behind is None else lambda one: behind(one, now_s))


WAITING_LISTS: Final[Mapping[str, WaitingList]] = {
    "fcfs": WaitingList(told="first come, first served: nobody passes anybody", passing=False),
    "sjf": WaitingList(told="the shortest by its estimate first", order=_shortest),
    "priority": WaitingList(told="by priority, which grows while a job waits", order=_most_points),
    "easy": WaitingList(told="first come, and who does not delay the first may pass"),
    # Tsafrir, Etsion and Feitelson, IEEE TPDS 18(6), 2007.
    "easy-sjbf": WaitingList(told="the same, and of those the shortest first", backfill_order=_shortest),
}
"""All but `fcfs` keep a reservation for their first and let others pass it (EASY backfilling)."""


def waiting_list_named(name: str) -> WaitingList:
    """One of `WAITING_LISTS`, or `UsageError`."""
    found = WAITING_LISTS.get(name)
    if found is None:
        raise UsageError(f"there is no waiting list {name!a}", hint=f"one of {', '.join(WAITING_LISTS)}")
    return found
