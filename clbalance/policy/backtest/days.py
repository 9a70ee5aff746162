"""The figures of a replay by the days on which its jobs were submitted."""

from collections.abc import Iterable

from clbalance.model.trace import Trace
from clbalance.policy.backtest.values import Backtest, DayFigures
from clbalance.policy.queue.replay_metrics import bounded_slowdown

DAY_S = 86_400.0


def backtest_of(policy: str, trace: Trace, starts_s: dict[int, float], until_s: float) -> Backtest:
    """The figures of a policy by which the jobs of `trace` started so. `until_s`: the end of the history.

    Days are counted back from there, so no calendar or clock change matters. A job that never ends has no slowdown.
    """
    slowdowns = (
        (int((until_s - arrival.submit_s) // DAY_S), bounded_slowdown(starts_s[place] - arrival.submit_s, duration_s))
        for place, arrival in enumerate(trace.arrivals)
        if place in starts_s and (duration_s := arrival.duration_s) is not None
    )
    return Backtest(policy=policy, days=by_day(slowdowns), started=len(starts_s))


def by_day(slowdowns: Iterable[tuple[int, float]]) -> tuple[DayFigures, ...]:
    """The figures of jobs, each with the age of its day and its slowdown; the oldest day first."""
    found: dict[int, list[float]] = {}
    for age, slowdown in slowdowns:
        found.setdefault(age, []).append(slowdown)
    return tuple(DayFigures(age, len(of), sum(of), max(of)) for age, of in sorted(found.items(), reverse=True))
