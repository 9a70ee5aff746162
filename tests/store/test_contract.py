"""What every store promises, run over each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.errors import StoreError
from clbalance.model import CpuTicks, Reading, Unknown
from clbalance.ports import Store
from clbalance.store.forgetful import ForgetfulStore
from clbalance.store.sqlite import SqliteStore

from .build import HANGS, NOON, after, node, reading

A, B, C = node("a"), node("b"), node("c")


@pytest.fixture(params=["sqlite", "forgetful"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "forgetful":
        yield ForgetfulStore()
        return
    with SqliteStore.open(tmp_path) as opened:
        yield opened


def test_nothing_is_remembered_of_a_node_never_seen(store: Store) -> None:
    store.remember(NOON, {A: reading()})
    assert store.last_readings([B]) == {}
    assert store.last_readings([]) == {}


def test_what_differences_need_comes_back_as_it_was(store: Store) -> None:
    store.remember(NOON, {A: reading()})
    last = store.last_readings([A])[A]
    assert last.at == NOON
    for section in ("boot_id", "uptime_s", "cpu_ticks", "traffic"):
        assert getattr(last.reading, section) == getattr(reading(), section)


def test_what_is_not_kept_is_unknown_and_never_a_zero(store: Store) -> None:
    store.remember(NOON, {A: reading()})
    last = store.last_readings([A])[A].reading
    kept = {"boot_id", "uptime_s", "cpu_ticks", "traffic"}
    for section in set(Reading.__dataclass_fields__) - kept:
        assert getattr(last, section) == Unknown(why="not remembered")


@pytest.mark.parametrize(
    ("told", "section"),
    [
        pytest.param(reading(boot_id=HANGS), "boot_id", id="an unknown boot"),
        pytest.param(reading(uptime_s=HANGS), "uptime_s", id="an unknown uptime"),
        pytest.param(reading(ticks=HANGS), "cpu_ticks", id="unknown ticks"),
        pytest.param(reading(traffic=None), "traffic", id="unknown traffic"),
        pytest.param(reading(ticks=CpuTicks(busy=1, total=2**64)), "cpu_ticks", id="a count beyond all counters"),
        pytest.param(reading(traffic=(1, 2, 2**63, 4)), "traffic", id="one counter of a section too large"),
        pytest.param(reading(traffic=(1, -2, 3, 4)), "traffic", id="a negative counter"),
    ],
)
def test_stays_unknown(store: Store, told: Reading, section: str) -> None:
    store.remember(NOON, {A: told})
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
    many = [node(f"n{number}") for number in range(10_000)]
    store.remember(NOON, dict.fromkeys(many, reading()))
    assert store.last_readings(many).keys() == set(many)


def test_no_job_number_is_given_twice(store: Store) -> None:
    numbers = [store.new_job_id(f"key{number}", "job") for number in range(20)]
    assert len(set(numbers)) == 20
    assert min(numbers) > 0


def test_a_job_is_numbered_once(store: Store) -> None:
    store.new_job_id("key", "job")
    with pytest.raises(StoreError, match="`key` has a number already"):
        store.new_job_id("key", "job")


@pytest.mark.parametrize(
    "name", ["", "two words", "a'; DROP TABLE job; --", "new\nline", "nul\0", "\udcff.sh", "[red]", "x" * 10_000, "猫"]
)
def test_any_file_name_may_name_a_job(store: Store, name: str) -> None:
    assert store.new_job_id("key", name) > 0


def test_any_text_may_be_a_boot_id(store: Store) -> None:
    store.remember(NOON, {A: reading(boot_id="\udc80'\0")})
    assert store.last_readings([A])[A].reading.boot_id == "\\udc80'\0"


def test_what_a_store_returns_is_no_door_into_it(store: Store) -> None:
    store.remember(NOON, {A: reading()})
    seen = store.last_readings([A])
    assert isinstance(seen, dict)
    seen.clear()
    assert A in store.last_readings([A])
