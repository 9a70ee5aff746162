"""Jobs that wait for a place: which of them are started now, and in what order. Pure but for the room it is given.

Enters: who waits, what runs, and a room that says what fits. Leaves: who is started, which the room then holds.
"""

import math
from collections.abc import Sequence
from typing import Generic, Protocol, Self, TypeVar

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request

Held = TypeVar("Held")
"""What a room gives for a request, such as `board.Holding`."""


class Room(Protocol[Held]):
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
class Waiting:
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
class Start(Generic[Held]):
    """One that is started now, on what it holds."""

    waiting: Waiting
    held: Held


def as_they_fit(queue: Sequence[Waiting], room: Room[Held]) -> list[Start[Held]]:
    """From the front, until one does not fit: nobody passes it."""
    started: list[Start[Held]] = []
    for waiting in queue:
        held = room.place(waiting.request)
        if held is None:
            break
        started.append(Start(waiting, held))
    return started
