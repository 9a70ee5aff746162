"""`policy.queue = "auto"` on public logs, day by day: chosen from what was known, used on the next day."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from clbalance.cli.balance.replay_files import read_file
from clbalance.model.trace import Trace
from clbalance.policy.backtest.choose import choose
from clbalance.policy.backtest.days import DAY_S, by_day
from clbalance.policy.backtest.values import FIELDS, Backtest, DayFigures
from clbalance.policy.placement.policies import LEAST
from clbalance.policy.queue.processors import Processors
from clbalance.policy.queue.queues import WAITING_LISTS, FreeCapacity, Held, PlannedStart, QueuedJob, Running
from clbalance.policy.queue.replay import ReplayRun, replay
from clbalance.policy.queue.replay_metrics import bounded_slowdown
from clbalance.trace.swf import SwfLog

from .figure import Figure
from .question import Measurement
from .replaying import LOGS, log_file
from .site import Site, WrongRunError

_FIELD = FIELDS["queue"]
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class KnownByDay:
    """What the replay of each fixed policy has shown at the beginning of a day: a job that waits counts so far."""

    def __init__(self, trace: Trace, runs: dict[str, ReplayRun]) -> None:
        self._trace, self._runs = trace, runs
        self.first_s = trace.arrivals[0].submit_s
        self._jobs_of: dict[int, list[int]] = {}
        for place, arrival in enumerate(trace.arrivals):
            self._jobs_of.setdefault(self.day_of(arrival.submit_s), []).append(place)
        self._settled: dict[tuple[str, int], DayFigures] = {}

    def day_of(self, now_s: float) -> int:
        return int((now_s - self.first_s) // DAY_S)

    def backtests(self, day: int) -> list[Backtest]:
        days = [one for one in sorted(self._jobs_of) if one < day]
        started = sum(len(self._jobs_of[one]) for one in days)
        return [
            Backtest(policy=name, days=tuple(self._figures(name, one, day) for one in days), started=started)
            for name in self._runs
        ]

    def _figures(self, name: str, of: int, day: int) -> DayFigures:
        found = self._settled.get((name, of))
        if found is None:
            now_s, starts_s = self.first_s + day * DAY_S, self._runs[name].starts_s
            (found,) = by_day(self._slowdown(place, min(now_s, starts_s[place])) for place in self._jobs_of[of])
            if all(starts_s[place] <= now_s for place in self._jobs_of[of]):
                self._settled[name, of] = found
        return DayFigures(day - 1 - of, found.jobs, found.sum, found.worst)

    def _slowdown(self, place: int, start_s: float) -> tuple[int, float]:
        arrival = self._trace.arrivals[place]
        assert arrival.duration_s is not None, "jobs of a log end"
        return 0, bounded_slowdown(start_s - arrival.submit_s, arrival.duration_s)


class ChosenDaily:
    """A waiting list that is chosen anew on each day."""

    def __init__(self, known: KnownByDay) -> None:
        self._known, self._day, self.policy = known, -1, _FIELD.default
        self.changes: list[tuple[int, str]] = []

    def to_start(
        self, queued: Sequence[QueuedJob], running: Iterable[Running[Held]], capacity: FreeCapacity[Held], now_s: float
    ) -> list[PlannedStart[Held]]:
        if (day := self._known.day_of(now_s)) != self._day:
            self._day = day
            at = _EPOCH + timedelta(days=day)
            chosen = choose("queue", self._known.backtests(day), before=self.policy, at=at).policy
            if chosen != self.policy:
                self.policy = chosen
                self.changes.append((day, chosen))
        return WAITING_LISTS[self.policy].to_start(queued, running, capacity, now_s)


def walk(log: SwfLog) -> tuple[ReplayRun, dict[str, ReplayRun], list[tuple[int, str]]]:
    """The log with the list chosen daily, and with each fixed list; on which days which list was chosen."""
    machine = Processors(count=log.processors or 0)

    def one(queue: Any) -> ReplayRun:
        return replay(machine, log.trace, LEAST, Random(1), queue=queue)

    fixed = {name: one(WAITING_LISTS[name]) for name in _FIELD.names}
    daily = ChosenDaily(KnownByDay(log.trace, fixed))
    return one(daily), fixed, daily.changes


def best_fixed(fixed: dict[str, ReplayRun]) -> str:
    """The list with the least mean slowdown of those whose worst is no worse than that of EASY."""
    worst = {name: run.figures.bounded_slowdown_max or math.inf for name, run in fixed.items()}
    passing = [name for name in fixed if worst[name] <= worst[_FIELD.reference]]
    return min(passing, key=lambda name: fixed[name].figures.bounded_slowdown_mean or math.inf)


def measurement(name: str) -> Measurement:
    def take(site: Site) -> Iterator[Figure]:
        log = read_file(log_file(name))
        if not isinstance(log, SwfLog):
            raise WrongRunError(f"{name}.swf is no log in the Standard Workload Format")
        daily, fixed, changes = walk(log)
        best = best_fixed(fixed)
        ours, theirs, easy = (run.figures for run in (daily, fixed[best], fixed[_FIELD.reference]))
        yield Figure(
            name=f"mean slowdown on {name}, chosen daily",
            value=(ours.bounded_slowdown_mean or math.inf) / (theirs.bounded_slowdown_mean or math.inf),
            unit=f"of that of {best}, the best fixed one",
            limit=1.05,
            note=f"{ours.bounded_slowdown_mean:.4f} and {theirs.bounded_slowdown_mean:.4f}; "
            + (", ".join(f"{policy} from day {day}" for day, policy in changes) or "no change"),
        )
        yield Figure(
            name=f"worst slowdown on {name}, chosen daily",
            value=(ours.bounded_slowdown_max or math.inf) / (easy.bounded_slowdown_max or math.inf),
            unit="of that of EASY",
            limit=1.0,
            note=f"{ours.bounded_slowdown_max:.1f} and {easy.bounded_slowdown_max:.1f}",
        )

    return Measurement(f"auto-{name}", f"the waiting list of {name}.swf, chosen daily", take)


MEASUREMENTS = tuple(measurement(name) for name in LOGS)
