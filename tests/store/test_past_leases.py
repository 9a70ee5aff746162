"""What history remembers of leases, over each kind of store: who held what, for how long, however it was summed up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.model.node_history import LeasedUse, NodeSample
from clbalance.ports import Store
from clbalance.store.in_memory import InMemoryStore
from clbalance.store.state import SqliteStore
from clbalance.store.usage import leases
from tests.store.test_past import SILENT, A, at, look

DAYS = 24 * 60


@pytest.fixture(params=["sqlite", "forgetful"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "forgetful":
        yield InMemoryStore()
        return
    with SqliteStore.open(tmp_path) as opened:
        yield opened


def holding(*uses: LeasedUse) -> NodeSample:
    return NodeSample(answered=True, values={"ut_pct": 1.0}, leases=uses)


def use(key: str = "k1", uid: int = 1001, **figures: float) -> LeasedUse:
    return LeasedUse(key=key, uid=uid, **figures)


def held(store: Store, until: float = 60) -> dict[float, set[LeasedUse]]:
    """By minute."""
    start_s = at(0).timestamp()
    return {(one.at_s - start_s) / 60: set(one.leases) for one in store.history([A], at(0), at(until)).get(A, ())}


def test_what_a_job_holds_comes_back_to_a_ten_thousandth(store: Store) -> None:
    whole = use(cpus=2.5, gpus=1.3333, gpus_known=1.0, gpus_used=0.3217, gpus_idle=0.25)
    look(store, 0, holding(whole, use("k2", 7, cpus=1)))
    assert held(store) == {0: {whole, use("k2", 7, cpus=1)}}


def test_a_lease_that_was_given_back_within_the_minute_is_gone(store: Store) -> None:
    look(store, 0.1, holding(use(cpus=1), use("k2", cpus=1)))
    look(store, 0.5, holding(use(cpus=1)))
    assert held(store) == {0: {use(cpus=1)}}


def test_leases_that_are_not_known_leave_those_of_the_minute_alone(store: Store) -> None:
    look(store, 0.1, holding(use(cpus=1)))
    look(store, 0.5, NodeSample(answered=True))
    look(store, 0.7, SILENT)
    assert held(store) == {0: {use(cpus=1)}}


def test_summed_up_a_job_has_its_share_of_all_samples_of_the_node(store: Store) -> None:
    for minute in (0, 2, 4, 6, 8):
        look(store, minute, holding(*([use(cpus=4, gpus=1)] if minute < 4 else [])))
    look(store, 9, SILENT)
    for later in (DAYS + 20, DAYS + 61):
        look(store, later, holding())
    assert held(store, 9) == {0: {use(cpus=1.6, gpus=0.4)}}


def test_an_hour_says_how_many_of_its_ten_minutes_had_a_sample(store: Store) -> None:
    for minute in (0, 1, 2, 30, 59):
        look(store, minute, holding(use(cpus=6)) if minute == 30 else holding())
    for later in (2 * DAYS, 15 * DAYS, 15 * DAYS + 60):
        look(store, later, holding())
    (hour,) = store.history([A], at(0), at(59))[A]
    assert (hour.span_s, hour.asked, hour.parts) == (3600, 5, 3)
    assert set(hour.leases) == {use(cpus=2.0)}


def test_old_leases_are_forgotten_with_the_rest(store: Store) -> None:
    look(store, 0, holding(use(cpus=1)))
    for later in (366 * DAYS, 366 * DAYS + 61):
        look(store, later, holding())
    assert held(store) == {}


def test_a_damaged_row_is_left_out(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        look(store, 0, holding(use("good", cpus=1), use("bad", cpus=1), use("negative", cpus=1)))
        connection = store._connection
        connection.execute(f"UPDATE {leases.TABLE} SET cpus = 'x' WHERE key = 'bad'")
        connection.execute(f"UPDATE {leases.TABLE} SET gpus = -1 WHERE key = 'negative'")
        assert held(store) == {0: {use("good", cpus=1)}}


def test_an_hour_of_an_earlier_version_was_seen_as_often_as_it_was_asked(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        for number, asked in enumerate((1, 60)):
            store._connection.execute(
                "INSERT INTO past (tier, slot_s, node, asked, silent) VALUES (2, ?, ?, ?, 0)",
                (int(at(60 * number).timestamp()), A, asked),
            )
        assert [point.parts for point in store.history([A], at(0), at(180))[A]] == [1, 6]
