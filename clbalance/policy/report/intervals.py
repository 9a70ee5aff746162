"""The time that samples stand for. Pure.

    seen = Σ min(next sample - sample, 600 s)        of a row of hours: 600 s for each ten minutes with a sample

Beyond that, time is not seen: neither idle nor down. Intervals of one node never overlap, and lie within the period.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from clbalance.model.node_history import SeriesPoint
from clbalance.model.report import Period

HOLDS_S: Final = 600.0
"""How long a sample counts at most."""


class Interval(NamedTuple):
    """The samples of `point` count from `since_s` on for `seconds`, which are spread over `span_s`."""

    point: SeriesPoint
    since_s: float
    span_s: float
    seconds: float


def intervals(points: Iterable[SeriesPoint], period: Period) -> Iterator[Interval]:
    """The intervals of one node, in order of time; those of no length are left out."""
    ordered = sorted(points, key=lambda point: point.at_s)
    for at, point in enumerate(ordered):
        covers_s = max(float(point.span_s), HOLDS_S)
        next_s = ordered[at + 1].at_s if at + 1 < len(ordered) else float("inf")
        since_s = max(float(point.at_s), period.since_s)
        until_s = min(point.at_s + covers_s, next_s, period.until_s)
        if until_s > since_s:
            seen = min(1.0, point.parts * HOLDS_S / covers_s)
            yield Interval(point, since_s, until_s - since_s, (until_s - since_s) * seen)


class Columns(NamedTuple):
    """A period in columns of equal time, for pictures."""

    since_s: float
    step_s: float
    number: int

    @classmethod
    def of(cls, period: Period, most: int) -> "Columns":
        """`most` columns at most; none is shorter than ten minutes, or many would be empty."""
        number = max(1, min(most, int(period.seconds // HOLDS_S)))
        return cls(period.since_s, max(period.seconds, 1.0) / number, number)

    def shares(self, interval: Interval) -> Iterator[tuple[int, float]]:
        """The seconds of the interval that lie in each column."""
        first = int((interval.since_s - self.since_s) // self.step_s)
        last = int((interval.since_s + interval.span_s - self.since_s) // self.step_s)
        for at in range(max(0, first), min(self.number - 1, last) + 1):
            begin_s = self.since_s + at * self.step_s
            inside_s = min(interval.since_s + interval.span_s, begin_s + self.step_s) - max(interval.since_s, begin_s)
            if inside_s > 0:
                yield at, interval.seconds * inside_s / interval.span_s
