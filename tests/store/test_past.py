"""What every store promises of history, run over each of them; and what the database's promises beside."""

import itertools
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import NodeName
from clbalance.model.node_history import Aggregate, NodeSample, SeriesPoint
from clbalance.ports import Store
from clbalance.store.history import read_past, write_past
from clbalance.store.in_memory import InMemoryStore
from clbalance.store.schema import MIGRATIONS, migrate
from clbalance.store.state import SqliteStore

from .build import node, reading

A, B = node("a"), node("b")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
START_S = int(START.timestamp())
SILENT = NodeSample(answered=False)


@pytest.fixture(params=["sqlite", "forgetful"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "forgetful":
        yield InMemoryStore()
        return
    with SqliteStore.open(tmp_path) as opened:
        yield opened


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def seen(ut: float | None = None, *gpus: dict[str, float], **values: float) -> NodeSample:
    return NodeSample(answered=True, values=values | ({} if ut is None else {"ut_pct": ut}), gpus=gpus)


def look(store: Store, minutes: float, *samples: NodeSample) -> None:
    names = (A, B)[: len(samples)]
    store.remember(at(minutes), {}, None, dict(zip(names, samples, strict=True)))


def points(
    store: Store, since: float = -1e5, until: float = 1e6, name: NodeName = A
) -> list[tuple[float, int, int, int]]:
    """Minute, span in minutes, asked, silent."""
    found = store.history([name], at(since), at(until)).get(name, ())
    return [((one.at_s - START_S) / 60, one.span_s // 60, one.asked, one.silent) for one in found]


def test_of_a_node_never_asked_there_is_no_history(store: Store) -> None:
    look(store, 0, seen(1.0))
    assert store.history([B], at(-10), at(10)) == {}
    assert store.history([], at(-10), at(10)) == {}
    assert store.history([A], at(5), at(10)) == {}


def test_a_look_comes_back_with_what_was_known_and_nothing_else(store: Store) -> None:
    look(store, 0.5, seen(12.34, {"use_pct": 98.0, "mem_pct": 5.0}, {"mem_pct": 0.0}, r1m_per_cpu=0.8))
    assert store.history([A], at(0), at(1))[A] == [
        SeriesPoint(
            at_s=START_S,
            span_s=60,
            asked=1,
            silent=0,
            values={"ut_pct": Aggregate(12.34, 12.34, 12.34), "r1m_per_cpu": Aggregate(0.8, 0.8, 0.8)},
            gpus={
                0: {"use_pct": Aggregate(98.0, 98.0, 98.0), "mem_pct": Aggregate(5.0, 5.0, 5.0)},
                1: {"mem_pct": Aggregate(0.0, 0.0, 0.0)},
            },
        )
    ]


def test_silence_is_remembered_and_is_no_zero(store: Store) -> None:
    look(store, 0, SILENT, seen(5.0))
    (point,) = store.history([A, B], at(0), at(1))[A]
    assert (point.asked, point.silent, point.values, point.gpus) == (1, 1, {}, {})


def test_of_one_minute_there_is_one_point_with_the_last_values_known_and_all_silence(store: Store) -> None:
    look(store, 0.1, seen(10.0, leases=1.0))
    look(store, 0.2, seen(20.0))
    look(store, 0.3, SILENT)
    (point,) = store.history([A], at(0), at(1))[A]
    assert (point.asked, point.silent) == (3, 1)
    assert point.values == {"ut_pct": Aggregate(20.0, 20.0, 20.0), "leases": Aggregate(1.0, 1.0, 1.0)}


def test_a_day_ago_ten_minutes_are_one_point_with_least_mean_and_most(store: Store) -> None:
    for minutes, ut in ((0, 10.0), (3, 20.0), (9, 60.0)):
        look(store, minutes, seen(ut, {"use_pct": ut}))
    look(store, 5, SILENT)
    look(store, 10, seen(1.0))
    assert [minute for minute, *_ in points(store)] == [0, 3, 5, 9, 10], "a day long each look is there"
    for day in (1, 1.1):
        look(store, 24 * 60 * day + 61, seen(2.0))
    point = store.history([A], at(0), at(9))[A][0]
    assert (point.at_s, point.span_s, point.asked, point.silent) == (START_S, 600, 4, 1)
    assert point.values == {"ut_pct": Aggregate(10.0, 30.0, 60.0)}
    assert point.gpus == {0: {"use_pct": Aggregate(10.0, 30.0, 60.0)}}


def test_two_weeks_ago_hours_are_one_point_and_a_year_ago_is_forgotten(store: Store) -> None:
    days = 24 * 60
    for minutes, ut in ((0, 10.0), (20, 30.0), (45, 20.0), (70, 99.0)):
        look(store, minutes, seen(ut))
    for later in (2 * days, 15 * days, 15 * days + 60):
        look(store, later, seen(1.0))
    assert points(store, until=100) == [(0, 60, 3, 0), (60, 60, 1, 0)]
    assert store.history([A], at(0), at(30))[A][0].values == {"ut_pct": Aggregate(10.0, 20.0, 30.0)}
    for later in (366 * days, 366 * days + 60):
        look(store, later, seen(1.0))
    assert points(store, until=100) == []


@pytest.mark.parametrize("every_min", [1, 5, 7, 60, 90, 24 * 60])
def test_each_time_is_told_once_and_none_is_lost(store: Store, every_min: int) -> None:
    count = max(20, min(600, 20 * 24 * 60 // every_min))
    skip = 36 * 60  # two densities: the second half is of another day than the first
    times = [every_min * number + (skip if number > count // 2 else 0) for number in range(count)]
    for minutes in times:
        look(store, minutes, seen(1.0))
    found = points(store)
    assert sum(asked for *_, asked, _ in found) == count
    for (start, span, *_), (following, *_) in pairwise(found):
        assert start + span <= following


def test_a_clock_set_back_loses_nothing_that_was_kept_and_goes_on(store: Store) -> None:
    for minutes in (0, 15, 30, 65, 130):
        look(store, minutes, seen(50.0))
    for minutes in (20, 31, 66, 131):  # an hour and a half back, and on again
        look(store, minutes, seen(60.0))
    assert [minute for minute, *_ in points(store)] == [0, 15, 20, 30, 31, 65, 66, 130, 131]
    assert points(store, since=100, until=130) == [(130, 1, 1, 0)]


def test_what_a_clock_far_ahead_wrote_goes_when_the_clock_is_right_again(store: Store) -> None:
    look(store, 0, seen(50.0))
    look(store, 300 * 24 * 60, seen(50.0))
    for minutes in (60, 120, 180):
        look(store, minutes, seen(50.0))
    assert max(minute for minute, *_ in points(store)) == 180


def test_another_boot_does_not_end_history(store: Store) -> None:
    store.remember(at(0), {A: reading(boot_id="b0")}, None, {A: seen(1.0)})
    store.remember(at(5), {A: reading(boot_id="b1")}, None, {A: seen(2.0)})
    assert len(points(store)) == 2


def test_what_is_no_number_is_left_out_and_a_name_may_be_any(store: Store) -> None:
    odd = NodeName("it's; --\x00")
    values = {"ut_pct": float("nan"), "leases": float("inf"), "tmp_free_pct": 1e300, "nosuch": 1.0, "psi_io_pct": 2.0}
    store.remember(at(0), {}, None, {odd: NodeSample(answered=True, values=values)})
    (point,) = store.history([odd], at(0), at(1))[odd]
    assert point.values == {"psi_io_pct": Aggregate(2.0, 2.0, 2.0)}


def test_many_nodes_are_recalled_at_once(store: Store) -> None:
    names = [node(f"n{number}") for number in range(1200)]
    store.remember(at(0), {}, None, dict.fromkeys(names, seen(1.0)))
    assert len(store.history(names, at(0), at(1))) == 1200


def test_history_is_bounded_by_number_and_the_oldest_go_first() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        migrate(database)
        for minutes in range(0, 6 * 60, 5):
            write_past(database, at(minutes), {A: seen(1.0), B: seen(2.0)}, most_rows=20)
        found = read_past(database, [A], at(-10), at(1000))[A]
    minutes = [((one.at_s - START_S) // 60, one.span_s // 60) for one in found]
    assert [start for start, span in minutes if span == 1] == list(range(250, 360, 5)), "ten when the hour was over"
    assert [start for start, span in minutes if span == 10] == [240], "of whole hours"
    assert [start for start, span in minutes if span == 60] == [0, 60, 120, 180], "and the older ones by the hour"


@given(st.lists(st.integers(0, 3 * 24 * 60), min_size=1, max_size=40))
def test_whatever_the_clock_does_no_look_of_the_last_hours_is_lost(minutes: list[int]) -> None:
    store = InMemoryStore()
    for minute in minutes:
        look(store, minute, seen(1.0))
    last = minutes[-1]
    assert last in {start for start, span, *_ in points(store, since=last, until=last) if span == 1}
    asked = sum(asked for *_, asked, _ in points(store))
    assert 1 <= asked <= len(minutes)


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        ("UPDATE past SET ut_pct = 'nonsense'", {"leases"}),
        ("UPDATE past SET leases = 1.5, ut_pct = X'00'", set()),
        ("UPDATE past SET asked = 0", None),
        ("UPDATE past SET asked = 'often'", None),
        ("UPDATE past SET silent = 7", None),
        ("UPDATE past SET slot_s = slot_s + 0.5", None),
        ("UPDATE past_gpu SET gpu = 'x'", {"ut_pct", "leases"}),
    ],
)
def test_nonsense_in_the_database_is_left_out(tmp_path: Path, damage: str, left: set[str] | None) -> None:
    with SqliteStore.open(tmp_path) as store:
        look(store, 0, seen(1.0, {"use_pct": 1.0}, leases=2.0))
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute(damage)
        database.commit()
    with SqliteStore.open(tmp_path) as store:
        found = store.history([A], at(-1), at(1)).get(A, ())
        assert [set(point.values) for point in found] == ([] if left is None else [left])
        look(store, 70, seen(1.0))  # adds up what is there


def test_a_row_stays_as_small_as_its_bound_says(tmp_path: Path) -> None:
    names = [node(f"node{number}") for number in range(100)]
    looked = seen(99.9, {"use_pct": 99.9, "mem_pct": 55.5}, r1m_per_cpu=1.25, load_per_cpu=1.5, leases=3.0,
                  mem_available_pct=77.7, psi_cpu_pct=1.1, psi_mem_pct=0.0, psi_io_pct=12.3, tmp_free_pct=40.0,
                  io_kib_per_s=81920.5, net_kib_per_s=112640.25)  # fmt: skip
    with SqliteStore.open(tmp_path) as store:
        for minutes in range(0, 200, 5):
            store.remember(at(minutes), {}, None, dict.fromkeys(names, looked))
        (rows,) = store._connection.execute("SELECT count(*) FROM past").fetchone()
        store._connection.execute("DELETE FROM past_gpu")
        store._connection.execute("DELETE FROM forecast")
        store._connection.execute("VACUUM")
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    assert pages * 4096 / rows < 125


# -- an index that is new to the table of load indices --------------------------------------------


def columns(database: sqlite3.Connection, table: str = "past") -> set[str]:
    return {name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")}


def without(folder: Path, key: str, table: str = "past") -> None:
    """The database as a program has left it that does not know the index yet."""
    with closing(sqlite3.connect(folder / "state.db", isolation_level=None)) as database:
        for name in (key, f"least_{key}", f"most_{key}"):
            database.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        assert key not in columns(database, table)


def test_an_index_that_the_database_has_not_kept_before_is_kept_from_now_on(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        look(store, 0, seen(1.0, {"use_pct": 2.0, "mem_pct": 3.0}, psi_io_pct=4.0))
    without(tmp_path, "psi_io_pct")
    without(tmp_path, "mem_pct", "past_gpu")
    with SqliteStore.open(tmp_path) as store:
        look(store, 5, seen(5.0, {"use_pct": 6.0, "mem_pct": 7.0}, psi_io_pct=8.0))
        before, after = store.history([A], at(0), at(9))[A]
    assert (set(before.values), set(before.gpus[0])) == ({"ut_pct"}, {"use_pct"})
    assert (set(after.values), set(after.gpus[0])) == ({"ut_pct", "psi_io_pct"}, {"use_pct", "mem_pct"})
    assert after.values["psi_io_pct"] == Aggregate(8.0, 8.0, 8.0)


def test_a_database_of_the_released_schema_keeps_its_rows_and_keeps_traffic_beside_them(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as database:
        for statement in itertools.chain(*MIGRATIONS):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        database.execute(
            "INSERT INTO past (tier, slot_s, node, asked, silent, ut_pct) VALUES (0, ?, 'a', 1, 0, 4200)", (START_S,)
        )
    with SqliteStore.open(tmp_path) as store:
        look(store, 5, seen(1.0, io_kib_per_s=2.5, net_kib_per_s=81920.0))
        before, after = store.history([A], at(0), at(9))[A]
    assert before.values == {"ut_pct": Aggregate(42.0, 42.0, 42.0)}
    assert after.values["io_kib_per_s"] == Aggregate(2.5, 2.5, 2.5)
    assert after.values["net_kib_per_s"] == Aggregate(81920.0, 81920.0, 81920.0)


def test_an_index_that_this_program_does_not_know_is_left_alone(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as database:
        for name in ("later", "least_later", "most_later"):
            database.execute(f"ALTER TABLE past ADD COLUMN {name} INTEGER")
    with SqliteStore.open(tmp_path) as store:
        for minutes in (0, 11, 61):
            look(store, minutes, seen(1.0))
        assert [set(point.values) for point in store.history([A], at(0), at(0))[A]] == [{"ut_pct"}]
        assert "later" in columns(store._connection)


def test_columns_are_added_once_however_many_open_at_the_same_time(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path).close()
    without(tmp_path, "psi_io_pct")
    opened: list[str] = []

    def open_it() -> None:
        with SqliteStore.open(tmp_path):
            opened.append("well")

    together = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert len(opened) == 8
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        assert {"psi_io_pct", "least_psi_io_pct", "most_psi_io_pct"} <= columns(database)
