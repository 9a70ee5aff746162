"""What every store promises, run over each of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from clbalance.model import CpuTicks, Reading, Unknown
from clbalance.model.node_history import FailureStreak, NodeSample
from clbalance.policy.forecast.node import expected_of_node
from clbalance.ports import Store
from clbalance.store.in_memory import InMemoryStore
from clbalance.store.state import SqliteStore

from .build import HANGS, NOON, after, node, reading

A, B, C = node("a"), node("b"), node("c")


@pytest.fixture(params=["sqlite", "forgetful"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "forgetful":
        yield InMemoryStore()
        return
    with SqliteStore.open(tmp_path) as opened:
        yield opened


def test_what_forgets_is_cleared_away_by_whichever_thread_comes_by() -> None:
    """An error there would be nobody's to catch; pytest counts it."""
    held = [InMemoryStore()]
    with ThreadPoolExecutor(1) as other:
        other.submit(held.clear).result()
    assert held == []


def test_nothing_is_remembered_of_a_node_never_seen(store: Store) -> None:
    store.remember(NOON, {A: reading()})
    assert store.last_readings([B]) == {}
    assert store.last_readings([]) == {}


def test_what_differences_need_comes_back_as_it_was(store: Store) -> None:
    store.remember(NOON, {A: reading()})
    last = store.last_readings([A])[A]
    assert last.at == NOON
    for section in ("boot_id", "uptime_s", "cpu_ticks", "disk", "net"):
        assert getattr(last.reading, section) == getattr(reading(), section)


def test_a_node_that_answered_before_the_sweep_was_over_has_a_time_of_its_own(store: Store) -> None:
    store.remember(after(5), {A: reading(), B: reading()}, came_at={A: NOON})
    assert {name: last.at for name, last in store.last_readings([A, B]).items()} == {A: NOON, B: after(5)}


def test_the_last_answers_come_back_if_they_are_young_enough(store: Store) -> None:
    store.remember(NOON, {}, answers={A: b"old", B: b"b"}, came_at={B: after(-60)})
    store.remember(after(5), {}, answers={A: b"new"})
    found = store.last_answers([A, B, C], NOON)
    assert {name: (kept.content, kept.at) for name, kept in found.items()} == {A: (b"new", after(5))}
    assert store.last_answers([B], after(-60))[B].content == b"b"
    assert store.last_answers([], NOON) == {}


def test_an_answer_too_long_to_keep_leaves_none(store: Store) -> None:
    store.remember(NOON, {}, answers={A: b"short"})
    store.remember(after(5), {}, answers={A: bytes(1 << 17)})
    assert store.last_answers([A], NOON) == {}


def test_what_is_kept_of_a_choice_replaces_what_was_kept(store: Store) -> None:
    assert store.choice("queue") is None
    for content in ("{}", '{"policy":"easy"}'):
        store.keep_choices({"queue": content, "progress": content})
    store.keep_choices({"placement": "[]", "progress": "1"})
    kept = [store.choice(name) for name in ("queue", "placement", "progress")]
    assert kept == ['{"policy":"easy"}', "[]", "1"]


def test_what_is_not_kept_is_unknown_and_never_a_zero(store: Store) -> None:
    store.remember(NOON, {A: reading()})
    last = store.last_readings([A])[A].reading
    kept = {"boot_id", "uptime_s", "cpu_ticks", "disk", "net"}
    assert last.gpus_missing == ()
    for section in set(Reading.__dataclass_fields__) - kept - {"gpus_missing"}:
        assert getattr(last, section) == Unknown(reason="not remembered")


@pytest.mark.parametrize(
    ("message", "section"),
    [
        pytest.param(reading(boot_id=HANGS), "boot_id", id="an unknown boot"),
        pytest.param(reading(uptime_s=HANGS), "uptime_s", id="an unknown uptime"),
        pytest.param(reading(ticks=HANGS), "cpu_ticks", id="unknown ticks"),
        pytest.param(reading(traffic=None), "disk", id="unknown disks"),
        pytest.param(reading(traffic=None), "net", id="unknown network"),
        pytest.param(reading(ticks=CpuTicks(busy=1, total=2**64)), "cpu_ticks", id="a count beyond all counters"),
        pytest.param(reading(traffic=(1, 2, 2**63, 4)), "net", id="one counter of a section too large"),
        pytest.param(reading(traffic=(1, -2, 3, 4)), "disk", id="a negative counter"),
    ],
)
def test_stays_unknown(store: Store, message: Reading, section: str) -> None:
    store.remember(NOON, {A: message})
    assert isinstance(getattr(store.last_readings([A])[A].reading, section), Unknown)


def test_the_last_reading_replaces_the_one_before(store: Store) -> None:
    store.remember(NOON, {A: reading(boot_id="old"), B: reading(boot_id="kept")})
    store.remember(after(5), {A: reading(boot_id="new")})
    last = store.last_readings([A, B])
    assert (last[A].at, last[A].reading.boot_id) == (after(5), "new")
    assert (last[B].at, last[B].reading.boot_id) == (NOON, "kept")


def test_a_sweep_without_answers_changes_nothing(store: Store) -> None:
    store.remember(NOON, {A: reading()})
    store.remember(after(5), {})
    assert store.last_readings([A])[A].at == NOON


def test_ten_thousand_nodes_are_remembered_at_once(store: Store) -> None:
    task_job = [node(f"n{number}") for number in range(10_000)]
    store.remember(NOON, dict.fromkeys(task_job, reading()))
    assert store.last_readings(task_job).keys() == set(task_job)


def test_any_text_may_be_a_boot_id(store: Store) -> None:
    store.remember(NOON, {A: reading(boot_id="\udc80'\0")})
    assert store.last_readings([A])[A].reading.boot_id == "\\udc80'\0"


def test_what_a_store_returns_is_no_door_into_it(store: Store) -> None:
    store.remember(NOON, {A: reading()})
    seen = store.last_readings([A])
    assert isinstance(seen, dict)
    seen.clear()
    assert A in store.last_readings([A])


def minute(number: float) -> datetime:
    """Of looks that are five minutes apart, none replaces another."""
    return NOON.replace(second=0, microsecond=0) + timedelta(minutes=number)


def test_looks_add_up_to_count_mean_deviation_and_bounds(store: Store) -> None:
    for number, value in enumerate([1.0, 2.0, 3.0, 6.0]):
        store.remember(minute(5 * number), {A: reading()}, {A: {"r1m": value, "ut": 50.0}})
    trends = store.trends([A, B], minute(16))
    assert set(trends) == {A}
    r1m = trends[A]["r1m"]
    assert (r1m.count, r1m.mean, r1m.least, r1m.most, r1m.span_s) == (4, 3.0, 1.0, 6.0, 900.0)
    assert r1m.deviation == pytest.approx(3.5**0.5)
    assert trends[A]["ut"].deviation == 0.0


def test_an_index_that_was_not_always_known_is_told_of_where_it_was(store: Store) -> None:
    store.remember(minute(0), {A: reading()}, {A: {"r1m": 1.0}})
    store.remember(minute(5), {A: reading()}, {A: {"r1m": 2.0, "ut": 9.0}})
    trends = store.trends([A], minute(6))[A]
    assert (trends["r1m"].count, trends["ut"].count, trends["ut"].span_s) == (2, 1, 0.0)


def test_a_node_never_looked_at_has_no_trends(store: Store) -> None:
    store.remember(NOON, {A: reading()})
    assert store.trends([A, B], NOON) == {}
    assert store.trends([], NOON) == {}


def test_of_five_minutes_the_last_look_counts(store: Store) -> None:
    for number, value in ((0, 10.0), (2, 20.0), (4.9, 30.0)):
        store.remember(minute(number), {A: reading()}, {A: {"ut": value}})
    trend = store.trends([A], minute(5))[A]["ut"]
    assert (trend.count, trend.mean, trend.span_s) == (1, 30.0, 0.0)


def test_looks_are_bounded_by_number_however_many_there_are(store: Store) -> None:
    for number in range(60):
        store.remember(minute(5 * number), {A: reading()}, {A: {"ut": float(number)}})
    trend = store.trends([A], minute(5 * 60))[A]["ut"]
    assert (trend.count, trend.least, trend.most) == (23, 37.0, 59.0)


@pytest.mark.parametrize(("every_min", "count"), [(15, 23), (35, 23), (60, 23), (120, 12)])
def test_rarer_sweeps_reach_further_back(store: Store, every_min: int, count: int) -> None:
    for number in range(60):
        store.remember(minute(every_min * number), {A: reading()}, {A: {"ut": 1.0}})
    trend = store.trends([A], minute(every_min * 59 + 1))[A]["ut"]
    assert (trend.count, trend.span_s) == (count, (count - 1) * every_min * 60.0)


def test_looks_older_than_a_day_and_those_of_the_future_do_not_count(store: Store) -> None:
    for number in (0, 10, 2000):
        store.remember(minute(number), {A: reading()}, {A: {"ut": float(number)}})
    assert store.trends([A], minute(15))[A]["ut"].count == 2
    assert store.trends([A], minute(2001))[A]["ut"].mean == 2000.0
    assert store.trends([A], minute(9000)) == {}


def test_a_boot_ends_what_was_seen_before_it(store: Store) -> None:
    for name in (A, B):
        store.remember(minute(0), {name: reading()}, {name: {"ut": 90.0}})
    store.remember(minute(5), {A: reading(boot_id="b1"), B: reading()}, {A: {"ut": 10.0}, B: {"ut": 10.0}})
    trends = store.trends([A, B], minute(6))
    assert trends[A]["ut"].mean == 10.0
    assert trends[B]["ut"].mean == 50.0
    store.remember(minute(10), {A: reading(boot_id=HANGS)}, {A: {"ut": 0.0}})
    assert store.trends([A], minute(11))[A]["ut"].count == 1


def test_what_is_no_number_is_not_remembered_and_odd_names_are(store: Store) -> None:
    store.remember(NOON, {A: reading()}, {A: {"x": float("nan"), "y": float("inf"), "it's; --\ud800": 1.0}})
    assert set(store.trends([A], after(60))[A]) == {"it's; --\ud800"}


def test_many_nodes_are_recalled_at_once(store: Store) -> None:
    names = [node(f"n{number}") for number in range(1200)]
    store.remember(NOON, {name: reading() for name in names}, {name: {"ut": 1.0} for name in names})
    assert len(store.trends(names, after(60))) == 1200


def test_strains_are_kept_by_node_and_nothing_is_held_against_others(store: Store) -> None:
    assert store.failure_streaks([A]) == {A: FailureStreak()}
    seen = FailureStreak(
        silent=3,
        answered=0,
        suspect=True,
        over=2,
        silent_at_s=5.0,
        refused="python3 failed",
        refused_at_s=6.0,
        worked_in_boot="b",
    )
    store.save_failure_streaks(NOON, {A: FailureStreak(over=1), B: seen})
    store.save_failure_streaks(NOON, {A: FailureStreak(over=2)})
    assert store.failure_streaks([A, B, C]) == {A: FailureStreak(over=2), B: seen, C: FailureStreak()}


def test_counters_add_up_and_last_values_are_the_last(store: Store) -> None:
    assert store.counters() == {}
    store.update_counters(add={"moves": 2.0}, put={"score": 0.5})
    store.update_counters(add={"moves": 1.0}, put={"score": 0.25})
    assert store.counters() == {"moves": 3.0, "score": 0.25}


def test_what_is_known_of_the_load_to_come_is_counted_once_in_five_minutes(store: Store) -> None:
    def count(seconds: float, load: float | None) -> bytes:
        sample = NodeSample(answered=load is not None, values={} if load is None else {"r1m_per_cpu": load})
        store.remember(after(seconds), {}, past={A: sample})
        return store.forecasts([A])[A]

    assert store.forecasts([A, B]) == {}
    first = count(0, 0.5)
    assert count(10, 0.9) == first
    assert count(300, None) == first, "it was silent"
    second = count(300, 0.9)
    assert second != first
    assert store.forecasts([B, A]) == {A: second}


def test_what_is_known_of_the_load_to_come_goes_on_when_the_clock_is_set_back(store: Store) -> None:
    for seconds in (0, 300, -86_400, -86_100):
        store.remember(after(seconds), {}, past={A: NodeSample(answered=True, values={"r1m_per_cpu": 0.5})})
    expected = expected_of_node(store.forecasts([A])[A], after(-86_000).timestamp())
    assert expected["r1m_per_cpu"].value == pytest.approx(0.5)
