"""Jobs that wait for a place: the waiting lists by name, and EASY backfilling. Pure but for the room it is given.

Enters: who waits, what runs, and a room that says what fits. Leaves: who is started, which the room then holds.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Generic, Protocol, Self, TypeAlias, TypeVar

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request
from clbalance.model.request import UNCONSTRAINED

Held = TypeVar("Held")
"""What a room gives for a request, such as `board.JobAllocations`."""


class FreeCapacity(Protocol[Held]):
    """What there is to be had at this moment."""

    def place(self, request: Request) -> Held | None:
        """Take what is asked for, all of it, or None and nothing is taken."""
        ...

    def fits(self, request: Request) -> bool:
        """Whether `place` would take it."""
        ...

    def release(self, held: Held) -> None:
        """Give it back."""
        ...

    def hold(self, held: Held) -> None:
        """Take exactly this, which is known to be free."""
        ...

    def copy(self) -> Self:
        """Another one that is as full as this one, to try things in."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """A job that waits since `since_s`; `estimate_s` None: nobody has said how long it will take."""

    key: int
    request: Request
    since_s: float
    estimate_s: float | None = None
    priority: float = 0.0

    def expected_end_s(self, now_s: float) -> float:
        """If it were started now; infinite where nobody knows."""
        return math.inf if self.estimate_s is None else now_s + self.estimate_s


@dataclass(frozen=True, slots=True)
class Running(Generic[Held]):
    """What is held until `ends_s`, as far as anybody knows; infinite where nobody does."""

    held: Held
    ends_s: float


@dataclass(frozen=True, slots=True)
class PlannedStart(Generic[Held]):
    """One that is started now, on what it holds."""

    job: QueuedJob
    held: Held


def first_fit(queue: Sequence[QueuedJob], capacity: FreeCapacity[Held]) -> list[PlannedStart[Held]]:
    """From the front, until one does not fit: nobody passes it."""
    started: list[PlannedStart[Held]] = []
    for queued in queue:
        held = capacity.place(queued.request)
        if held is None:
            break
        started.append(PlannedStart(queued, held))
    return started


# The waiting lists by name: in which order jobs are started, and whether one may pass another.

_HOUR_S: Final = 3600.0
_SHORTEST_S: Final = 10.0
"""As in bounded slowdown: what runs for a second is not worth a place before everybody after a minute."""

_Order: TypeAlias = Callable[[QueuedJob, float], tuple[float, ...]]
"""Of one that waits, at a time in seconds; the smallest is first."""


def points(queued: QueuedJob, now_s: float) -> float:
    """Its priority, and a point for each time that it has waited as long as it will run, or an hour if none knows.

    So nobody starves, and short ones come up quickly: among equals, the largest expansion factor
    (wait + run) / run is first, the order of LXF backfilling (Chiang, Arpaci-Dusseau and Vernon, JSSPP 2002).
    """
    own_length_s = _HOUR_S if queued.estimate_s is None else max(queued.estimate_s, _SHORTEST_S)
    return queued.priority + (now_s - queued.since_s) / own_length_s


def _shortest(queued: QueuedJob, _: float) -> tuple[float, ...]:
    return math.inf if queued.estimate_s is None else queued.estimate_s, queued.since_s


def _most_points(queued: QueuedJob, now_s: float) -> tuple[float, ...]:
    return -points(queued, now_s), queued.since_s


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueue:
    """`order` and `backfill_order` None: as they came."""

    message: str
    order: _Order | None = None
    passing: bool = True
    """Whether others may pass the first that does not fit, as far as they do not delay it."""
    backfill_order: _Order | None = None

    def to_start(
        self, queued: Sequence[QueuedJob], running: Iterable[Running[Held]], capacity: FreeCapacity[Held], now_s: float
    ) -> list[PlannedStart[Held]]:
        """Which of those that wait, given in the order in which they came, are started now; `capacity` holds them
        then.
        """
        order, behind = self.order, self.backfill_order
        queue = queued if order is None else sorted(queued, key=lambda one: order(one, now_s))
        if not self.passing:
            return first_fit(queue, capacity)
        return with_backfill(
            queue, running, capacity, now_s, by=None if behind is None else lambda one: behind(one, now_s)
        )


WAITING_LISTS: Final[Mapping[str, JobQueue]] = {
    "fcfs": JobQueue(message="first come, first served: nobody passes anybody", passing=False),
    "sjf": JobQueue(message="the shortest by its estimate first", order=_shortest),
    "priority": JobQueue(message="by priority, which grows while a job waits", order=_most_points),
    "easy": JobQueue(message="first come, and who does not delay the first may pass"),
    # Tsafrir, Etsion and Feitelson, IEEE TPDS 18(6), 2007.
    "easy-sjbf": JobQueue(message="the same, and of those the shortest first", backfill_order=_shortest),
}
"""All but `fcfs` keep a reservation for their first and let others pass it (EASY backfilling)."""


def job_queue_named(name: str) -> JobQueue:
    """One of `WAITING_LISTS`, or `UsageError`."""
    found = WAITING_LISTS.get(name)
    if found is None:
        raise UsageError(f"there is no waiting list {name!a}", hint=f"one of {', '.join(WAITING_LISTS)}")
    return found


# EASY backfilling: others may pass the first that waits, if they do not delay it.
#
# Lifka, "The ANL/IBM SP scheduling system" (JSSPP 1995); Mu'alem and Feitelson, IEEE TPDS 12(6), 2001. Only the first
# that does not fit has a reservation: the shadow time, at which by the running jobs' estimates enough will have ended
# for it. One behind it is started if it will have ended by then, or if the first fits at that time beside it. There is
# no count of "extra processors": what will be free is asked of the real nodes, with all their resources.


@dataclass(frozen=True, slots=True)
class _Reservation(Generic[Held]):
    """Of `head` at `shadow_s`, in the room that there will be at that time."""

    head: QueuedJob
    shadow_s: float
    capacity_then: FreeCapacity[Held]

    def bears(self, queued: QueuedJob, held: Held, now_s: float) -> bool:
        """Whether the head can still start at its time if this one is started now.

        At an infinite time nothing counts as over by then: else whoever tells how long he takes would pass for ever.
        """
        if queued.expected_end_s(now_s) <= self.shadow_s < math.inf:
            return True
        self.capacity_then.hold(held)
        if self.capacity_then.fits(self.head.request):
            return True
        self.capacity_then.release(held)
        return False


def with_backfill(
    queue: Sequence[QueuedJob],
    running: Iterable[Running[Held]],
    capacity: FreeCapacity[Held],
    now_s: float,
    by: Callable[[QueuedJob], object] | None = None,
) -> list[PlannedStart[Held]]:
    """Those that fit from the front, then those behind the first that does not and that do not delay it.

    The latter are tried in the order of `by`, or of the queue. One that would not even fit if everything had ended
    keeps nobody waiting.
    """
    runs, started, left = list(running), list[PlannedStart[Held]](), list(queue)
    empty: FreeCapacity[Held] | None = None
    while True:
        first = first_fit(left, capacity)
        started += first
        runs += [_as_running(start, now_s) for start in first]
        head, behind = left[len(first) : len(first) + 1], left[len(first) + 1 :]
        # Most times nobody fits, and then there is no need to look ahead.
        fitting = [queued for queued in behind if capacity.fits(queued.request)]
        if not head or not fitting:
            break
        if empty is None or _may_fit(head[0], empty):
            then = capacity.copy()
            reservation = _reserve(head[0], runs, then, now_s)
            if reservation is not None:
                ordered = fitting if by is None else sorted(fitting, key=by)  # type: ignore[arg-type]  # tuples of floats
                started += _backfilled(ordered, reservation, capacity, now_s)
                break
            empty = then
        left = behind
    return started


def _may_fit(head: QueuedJob, empty: FreeCapacity[Held]) -> bool:
    """Whether it may fit at some time, by the room in which all has ended.

    What fits once fits from then on, but for who wishes for something that ends as well, as to be near a job.
    """
    return head.request.constraints != UNCONSTRAINED or empty.fits(head.request)


def _backfilled(
    ordered: Sequence[QueuedJob], reservation: _Reservation[Held], capacity: FreeCapacity[Held], now_s: float
) -> list[PlannedStart[Held]]:
    started: list[PlannedStart[Held]] = []
    for queued in ordered:
        held = capacity.place(queued.request)
        if held is None:
            continue
        if reservation.bears(queued, held, now_s):
            started.append(PlannedStart(queued, held))
        else:
            capacity.release(held)
    return started


def _reserve(
    head: QueuedJob, runs: Sequence[Running[Held]], then: FreeCapacity[Held], now_s: float
) -> _Reservation[Held] | None:
    """`then` becomes the room at the shadow time. None: the head does not fit even in the empty one, as it is then."""
    ends = sorted(runs, key=lambda run: run.ends_s)
    for at, run in enumerate(ends):
        then.release(run.held)
        # What ends at one time ends together. What is past its estimate may end at any moment.
        is_last = at + 1 == len(ends) or max(ends[at + 1].ends_s, now_s) > max(run.ends_s, now_s)
        if is_last and then.fits(head.request):
            return _Reservation(head, max(run.ends_s, now_s), then)
    return None


def _as_running(start: PlannedStart[Held], now_s: float) -> Running[Held]:
    return Running(start.held, start.job.expected_end_s(now_s))
