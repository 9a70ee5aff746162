"""EASY backfilling: others may pass the first that waits, if they do not delay it.

Lifka, "The ANL/IBM SP scheduling system" (JSSPP 1995); Mu'alem and Feitelson, IEEE TPDS 12(6), 2001. Only the first
that does not fit has a reservation: the shadow time, at which by the running jobs' estimates enough will have ended
for it. One behind it is started if it will have ended by then, or if the first fits at that time beside it. There is
no count of "extra processors": what will be free is asked of the real nodes, with all their resources.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Generic

from clbalance.constraints import UNCONSTRAINED
from clbalance.lazy_dataclass import dataclass
from clbalance.policy.waiting import Held, Room, Running, Start, Waiting, as_they_fit


@dataclass(frozen=True, slots=True)
class _Reservation(Generic[Held]):
    """Of `head` at `shadow_s`, in the room that there will be at that time."""

    head: Waiting
    shadow_s: float
    room_then: Room[Held]

    def bears(self, waiting: Waiting, held: Held, now_s: float) -> bool:
        """Whether the head can still start at its time if this one is started now.

        At an infinite time nothing counts as over by then: else whoever tells how long he takes would pass for ever.
        """
        if waiting.expected_end_s(now_s) <= self.shadow_s < math.inf:
            return True
        self.room_then.hold(held)
        if self.room_then.fits(self.head.request):
            return True
        self.room_then.release(held)
        return False


def with_backfill(
    queue: Sequence[Waiting],
    running: Iterable[Running[Held]],
    room: Room[Held],
    now_s: float,
    by: Callable[[Waiting], object] | None = None,
) -> list[Start[Held]]:
    """Those that fit from the front, then those behind the first that does not and that do not delay it.

    The latter are tried in the order of `by`, or of the queue. One that would not even fit if everything had ended
    keeps nobody waiting.
    """
    runs, started, left = list(running), list[Start[Held]](), list(queue)
    empty: Room[Held] | None = None
    while True:
        first = as_they_fit(left, room)
        started += first
        runs += [_as_running(start, now_s) for start in first]
        head, behind = left[len(first) : len(first) + 1], left[len(first) + 1 :]
        # Most times nobody fits, and then there is no need to look ahead.
        fitting = [waiting for waiting in behind if room.fits(waiting.request)]
        if not head or not fitting:
            break
        if empty is None or _may_fit(head[0], empty):
            then = room.copy()
            reservation = _reserve(head[0], runs, then, now_s)
            if reservation is not None:
                ordered = fitting if by is None else sorted(fitting, key=by)  # type: ignore[arg-type]  # tuples of floats
                started += _backfilled(ordered, reservation, room, now_s)
                break
            empty = then
        left = behind
    return started


def _may_fit(head: Waiting, empty: Room[Held]) -> bool:
    """Whether it may fit at some time, by the room in which all has ended.

    What fits once fits from then on, but for who wishes for something that ends as well, as to be near a job.
    """
    return head.request.constraints != UNCONSTRAINED or empty.fits(head.request)


def _backfilled(
    ordered: Sequence[Waiting], reservation: _Reservation[Held], room: Room[Held], now_s: float
) -> list[Start[Held]]:
    started: list[Start[Held]] = []
    for waiting in ordered:
        held = room.place(waiting.request)
        if held is None:
            continue
        if reservation.bears(waiting, held, now_s):
            started.append(Start(waiting, held))
        else:
            room.release(held)
    return started


def _reserve(head: Waiting, runs: Sequence[Running[Held]], then: Room[Held], now_s: float) -> _Reservation[Held] | None:
    """`then` becomes the room at the shadow time. None: the head does not fit even in the empty one, as it is then."""
    ends = sorted(runs, key=lambda run: run.ends_s)
    for at, run in enumerate(ends):
        then.release(run.held)
        # What ends at one time ends together. What is past its estimate may end at any moment.
        is_last = at + 1 == len(ends) or max(ends[at + 1].ends_s, now_s) > max(run.ends_s, now_s)
        if is_last and then.fits(head.request):
            return _Reservation(head, max(run.ends_s, now_s), then)
    return None


def _as_running(start: Start[Held], now_s: float) -> Running[Held]:
    return Running(start.held, start.waiting.expected_end_s(now_s))
