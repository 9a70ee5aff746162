"""Queues by name, and EASY backfill. Pure, apart from the `FreeCapacity` that it changes.

Input: pending jobs, running jobs, and the free capacity. Output: the jobs to start, which the capacity then holds.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, Generic, Protocol, Self, TypeAlias, TypeVar

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request
from clbalance.model.request import UNCONSTRAINED

Held = TypeVar("Held")
"""What `FreeCapacity` gives for a request, such as `cluster_state.JobAllocations`."""


class FreeCapacity(Protocol[Held]):
    """Resources that can be allocated now."""

    def place(self, request: Request) -> Held | None:
        """Allocate the whole request; None: it does not fit, and nothing is allocated."""
        ...

    def fits(self, request: Request) -> bool:
        """Whether `place` would allocate it."""
        ...

    def release(self, held: Held) -> None:
        """Give back an allocation."""
        ...

    def hold(self, held: Held) -> None:
        """Allocate exactly this, which is known to be free."""
        ...

    def copy(self) -> Self:
        """An independent copy, for trials."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedJob:
    """A job that has waited since `since_s`; `estimate_s` None: its duration is unknown."""

    key: int
    request: Request
    since_s: float
    estimate_s: float | None = None
    priority: float = 0.0
    fair_share: float = 0.0
    """Points for having used less than others (`fair_share.py`)."""

    def expected_end_s(self, now_s: float) -> float:
        """Its end if it were started now; infinite if unknown."""
        return math.inf if self.estimate_s is None else now_s + self.estimate_s


@dataclass(frozen=True, slots=True)
class Running(Generic[Held]):
    """A running job's allocation and its estimated end; infinite if unknown."""

    held: Held
    ends_s: float


@dataclass(frozen=True, slots=True)
class PlannedStart(Generic[Held]):
    """A job to start now, with its allocation."""

    job: QueuedJob
    held: Held


def first_fit(queue: Sequence[QueuedJob], capacity: FreeCapacity[Held]) -> list[PlannedStart[Held]]:
    """Start jobs from the front until one does not fit; no job passes it."""
    started: list[PlannedStart[Held]] = []
    for queued in queue:
        held = capacity.place(queued.request)
        if held is None:
            break
        started.append(PlannedStart(queued, held))
    return started


# -- queues by name: the order of jobs, and whether a job may pass another

_HOUR_S: Final = 3600.0
_SHORTEST_S: Final = 10.0
"""Least run time in `points`, as in bounded slowdown: a job of one second must not pass all others after a minute."""

_Order: TypeAlias = Callable[[QueuedJob, float], tuple[float, ...]]
"""Sort key of a pending job at a time in seconds; smallest first."""


def points(queued: QueuedJob, now_s: float) -> float:
    """Its priority and fair share, plus its waiting time divided by its estimated run time (one hour if unknown).

    So no job starves, and short jobs rise quickly: at equal priority the largest expansion factor (wait + run) / run is
    first, the order of LXF backfilling (Chiang, Arpaci-Dusseau and Vernon, JSSPP 2002).
    """
    return queued.priority + queued.fair_share + waiting_points(now_s - queued.since_s, queued.estimate_s)


def waiting_points(waited_s: float, estimate_s: float | None) -> float:
    """Of the points, those for having waited."""
    return waited_s / (_HOUR_S if estimate_s is None else max(estimate_s, _SHORTEST_S))


def _shortest(queued: QueuedJob, _: float) -> tuple[float, ...]:
    return -queued.priority, math.inf if queued.estimate_s is None else queued.estimate_s, queued.since_s


def _most_points(queued: QueuedJob, now_s: float) -> tuple[float, ...]:
    return -points(queued, now_s), queued.since_s


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueue:
    """How pending jobs are ordered and started. `order` and `backfill_order` None: in the order of arrival."""

    message: str
    order: _Order | None = None
    passing: bool = True
    """Whether other jobs may pass the first one that does not fit, if they do not delay it."""
    backfill_order: _Order | None = None

    def to_start(
        self, queued: Sequence[QueuedJob], running: Iterable[Running[Held]], capacity: FreeCapacity[Held], now_s: float
    ) -> list[PlannedStart[Held]]:
        """The jobs of `queued`, given in order of arrival, that start now; `capacity` holds them afterwards."""
        order, behind = self.order, self.backfill_order
        queue = queued if order is None else sorted(queued, key=lambda one: order(one, now_s))
        if not self.passing:
            return first_fit(queue, capacity)
        return with_backfill(
            queue, running, capacity, now_s, by=None if behind is None else lambda one: behind(one, now_s)
        )


WAITING_LISTS: Final[Mapping[str, JobQueue]] = {
    "fcfs": JobQueue(message="first come, first served: no job passes another", passing=False),
    "sjf": JobQueue(message="the shortest estimate first", order=_shortest),
    "priority": JobQueue(message="by priority, which grows while a job waits", order=_most_points),
    "easy": JobQueue(message="in order of arrival; jobs that do not delay the first one may pass it"),
    # Tsafrir, Etsion and Feitelson, IEEE TPDS 18(6), 2007.
    "easy-sjbf": JobQueue(
        message="in order of arrival; of jobs that do not delay the first one the shortest may pass it first",
        backfill_order=_shortest,
    ),
}
"""Queues by name. All but `fcfs` keep a reservation for the first job and let others pass it (EASY backfilling)."""

PRIORITY: Final = WAITING_LISTS["priority"]
"""The default."""


def job_queue_named(name: str) -> JobQueue:
    """One of `WAITING_LISTS`, or `UsageError`."""
    found = WAITING_LISTS.get(name)
    if found is None:
        raise UsageError(f"unknown queue {name!a}", hint=f"one of {', '.join(WAITING_LISTS)}")
    return found


# -- EASY backfilling: jobs may pass the first pending one, if they do not delay it
#
# Lifka, "The ANL/IBM SP scheduling system" (JSSPP 1995); Mu'alem and Feitelson, IEEE TPDS 12(6), 2001. Only the first
# job that does not fit has a reservation, at the shadow time: when, by the running jobs' estimates, enough jobs have
# ended for it. A job behind it starts if it ends before that, or if the first job still fits beside it at that time.
# There is no count of "extra processors": free resources are computed on the real nodes, with all their resources.


@dataclass(frozen=True, slots=True)
class _Reservation(Generic[Held]):
    """The reservation of `head` at `shadow_s`, in the free capacity of that time."""

    head: QueuedJob
    shadow_s: float
    capacity_then: FreeCapacity[Held]

    def bears(self, queued: QueuedJob, held: Held, now_s: float) -> bool:
        """Whether the head can still start at its shadow time if this job starts now.

        If that time is infinite, no job counts as ended by then: else jobs with estimates could pass the head for ever.
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
    """Start jobs from the front while they fit, then jobs behind the first that does not fit, if they do not delay it.

    The latter are tried in the order of `by`, or of the queue. A job that would not fit even on empty nodes gets no
    reservation and delays no other job.
    """
    runs: list[Running[Held]] | None = None
    empty: FreeCapacity[Held] | None = None
    started: list[PlannedStart[Held]] = []
    left = queue
    while left:
        first = first_fit(left, capacity)
        started += first
        behind = left[len(first) + 1 :]
        # Usually no job fits, and then the reservation is not needed.
        fitting = [queued for queued in behind if capacity.fits(queued.request)]
        if not fitting:
            break
        head = left[len(first)]
        runs = [*(running if runs is None else runs), *(_as_running(start, now_s) for start in first)]
        if empty is None or _may_fit(head, empty):
            then = capacity.copy()
            reservation = _reserve(head, runs, then, now_s)
            if reservation is not None:
                ordered = fitting if by is None else sorted(fitting, key=by)  # type: ignore[arg-type]  # tuples of floats
                started += _backfilled(ordered, reservation, capacity, now_s)
                break
            empty = then
        left = behind
    return started


def _may_fit(head: QueuedJob, empty: FreeCapacity[Held]) -> bool:
    """Whether it may fit at some time: after the end of all jobs.

    A request that fits at some time fits from then on, unless it needs something that ends too, such as `--near` a job.
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
    """The head's reservation; `then` becomes the capacity at the shadow time. None: it does not fit on empty nodes."""
    ends = sorted(runs, key=attrgetter("ends_s"))
    for at, run in enumerate(ends):
        then.release(run.held)
        if not then.fits(head.request):
            continue
        # Jobs with the same end are released together. A job past its estimate may end at any moment.
        if at + 1 == len(ends) or max(ends[at + 1].ends_s, now_s) > max(run.ends_s, now_s):
            return _Reservation(head, max(run.ends_s, now_s), then)
    return None


def _as_running(start: PlannedStart[Held], now_s: float) -> Running[Held]:
    return Running(start.held, start.job.expected_end_s(now_s))
