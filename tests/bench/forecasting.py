"""What forecasts are worth on public load series, and what they cost.

`python -m tests.bench forecast` takes the series that are kept here. `python -m tests.bench.forecasting FOLDER…` takes
other ones, a folder each (`series/__init__.py` tells their form).
"""

import contextlib
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import fmean

from clbalance.model import NodeName
from clbalance.model.node_history import NodeSample
from clbalance.policy.forecast.node import expected_of_node
from clbalance.policy.forecast.series import HORIZONS, STEP_S, add, expected, numbers_of_new
from clbalance.store.database import transaction
from clbalance.store.forecasts.rows import write_forecasts
from clbalance.store.state import DATABASE, SqliteStore

from .figure import Figure
from .question import Measurement
from .series import public_series, series_in
from .site import Site
from .stale_load import Case, mean_response

_LIMITS = {1: 21.0, 3: 20.0, 6: 15.0, 12: 11.0}
"""Per cent by which forecasts are to be less wrong than the last value."""
_WORST = -5.0
_FIRST = 5_000_000
"""A step long ago."""
_WARM_UP = 12
"""Steps, an hour, that do not count."""
_MOST = 200
"""Series of a folder."""
_NODES = 1000


def gains(series: list[float]) -> list[float] | None:
    """For each horizon by how many per cent forecasts are less wrong than the last value; None: that is never wrong."""
    numbers = numbers_of_new()
    wrong, by_last = [0.0] * len(HORIZONS), [0.0] * len(HORIZONS)
    for at, value in enumerate(series):
        add(numbers, _FIRST + at, value)
        for place, ahead in enumerate(HORIZONS):
            if _WARM_UP <= at < len(series) - ahead:
                found = expected(numbers, (_FIRST + at + ahead) * STEP_S)
                assert found is not None
                wrong[place] += abs(max(0.0, found.value) - series[at + ahead])
                by_last[place] += abs(value - series[at + ahead])
    if not all(by_last):
        return None
    return [100.0 * (1.0 - mine / last) for mine, last in zip(wrong, by_last, strict=True)]


def errors(of_sets: Mapping[str, Mapping[str, list[float]]]) -> Iterator[Figure]:
    """The mean gain over the series of each set, and the worst of them."""
    for name, series in of_sets.items():
        found = [one for values in series.values() if (one := gains(values)) is not None]
        for place, ahead in enumerate(HORIZONS):
            of_ahead = [one[place] for one in found]
            yield Figure(
                name=f"{name}, {5 * ahead} minutes ahead",
                value=fmean(of_ahead),
                unit="% less wrong than the last value",
                note=f"at least {_LIMITS[ahead]:g} wanted; {len(found)} series, the worst {min(of_ahead):.1f}, "
                f"{sum(one < _WORST for one in of_ahead)} below {_WORST:g}",
            )


def forecast(_: Site) -> Iterator[Figure]:
    """All of it."""
    yield from errors({"NAB": public_series()})
    yield from _cost()
    for age, dispatchers in ((5.0, 1), (5.0, 8), (50.0, 1), (50.0, 8)):
        measured, foreseen = (
            mean_response(
                Case(policy="least", age=age, dispatchers=dispatchers, foresees=foresees), jobs=25_000, seed=1
            )
            for foresees in (False, True)
        )
        yield Figure(
            name=f"stale load, age {age:g}, {dispatchers} dispatchers",
            value=foreseen / measured,
            unit="times the response without forecasts",
        )


def _cost() -> Iterator[Figure]:
    """Processor time for 1,000 nodes: what each sweep adds once in five minutes, and what it takes to look ahead."""
    rng, noon = random.Random(1), datetime(2026, 3, 1, 12, tzinfo=UTC)
    nodes = [NodeName(f"n{number}") for number in range(_NODES)]
    with tempfile.TemporaryDirectory() as folder, SqliteStore.open(Path(folder)) as store:
        kept: list[float] = []
        for step in range(40):
            values = {node: {"r1m_per_cpu": rng.random(), "ut_pct": rng.uniform(0, 100)} for node in nodes}
            past = {node: NodeSample(answered=True, values=values[node]) for node in nodes}
            kept.append(_timed(partial(_count, folder, noon + timedelta(minutes=5 * step), past)))
        states = store.forecasts(nodes)
        at_s = (noon + timedelta(minutes=5 * 40 + 30)).timestamp()
        looks = [_timed(lambda: [expected_of_node(one, at_s) for one in states.values()]) for _ in range(9)]
    first = sorted(kept[20:])[10]  # all horizons are compared by then
    yield Figure(name="to count 1,000 samples", value=1000.0 * first, unit="ms, once in five minutes", limit=50.0)
    yield Figure(name="to look ahead on 1,000 nodes", value=1000.0 * sorted(looks)[4], unit="ms", limit=50.0)


def _count(folder: str, at: datetime, past: Mapping[NodeName, NodeSample]) -> None:
    database = Path(folder) / DATABASE
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as own, transaction(own):
        write_forecasts(own, at, past)


def _timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


MEASUREMENTS = (Measurement("forecast", "forecasts of public load series, and what they cost", forecast),)


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        for figure in errors({folder.name: series_in(folder, _MOST)}):
            sys.stdout.write(f"{figure.name}: {figure.value:.1f} {figure.unit} ({figure.note})\n")
