"""What the record of runs promises."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from clbalance.errors import LockedError, StoreError
from clbalance.model.play_run import (
    MOST_OUTPUT_BYTES,
    NodeChanged,
    NodeState,
    RunState,
)
from clbalance.store.plays import old_runs
from clbalance.store.plays.journal import SqlitePlays
from clbalance.store.state import SqliteStore
from tests.store.build import after

from .build import NODES, a_run, begun, ended


class Host:
    """One submit host. Each `process` has what a process of its own would have: connection and lock."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack

    def process(self) -> SqlitePlays:
        store = self._stack.enter_context(SqliteStore.open(self.folder))
        return self._stack.enter_context(closing(store.plays()))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with ExitStack() as stack:
        yield Host(tmp_path, stack)


@pytest.fixture
def plays(host: Host) -> SqlitePlays:
    return host.process()


def test_a_run_comes_back_as_it_was_begun(plays: SqlitePlays) -> None:
    number = plays.begin(a_run())
    run = plays.run(number)
    assert run is not None
    assert run.pid is not None
    assert replace(run, pid=None, since=None) == replace(a_run(), number=number)
    assert plays.run(number + 1) is None
    assert [one.state for one in plays.progress(number)] == [NodeState.NOT_STARTED] * 3


def test_numbers_count_up_and_are_not_used_again(host: Host) -> None:
    plays = host.process()
    numbers = [plays.begin(a_run(f"/p/{name}.yml")) for name in "abc"]
    assert numbers == [1, 2, 3]
    with closing(sqlite3.connect(host.folder / "state.db")) as database:
        database.execute("DELETE FROM play WHERE id = 3")
        database.commit()
    assert plays.begin(a_run("/p/d.yml")) == 4


def test_what_a_node_sends_is_bounded_and_may_be_anything(plays: SqlitePlays) -> None:
    number = plays.begin(a_run())
    plays.write(number, begun("n1"))
    plays.write(number, ended("n1", out="\0\udcff'" + "ä" * MOST_OUTPUT_BYTES))
    (first, *_) = plays.progress(number)
    assert first.records[0].ended is not None
    assert first.records[0].ended.result is not None
    out = first.records[0].ended.result.out
    assert out.startswith("\0\\udcff'ä")
    assert len(out.encode()) <= MOST_OUTPUT_BYTES


# -- who has a run


def test_the_same_playbook_runs_once_at_a_time_and_the_first_is_named(host: Host) -> None:
    first, second = host.process(), host.process()
    number = first.begin(a_run())
    with pytest.raises(LockedError, match=rf"is being run already: run {number} of ann, pid \d+, since 2026-03-01"):
        second.begin(a_run())
    assert second.begin(a_run("/p/other.yml")) == number + 1
    first.end(number, after(1), RunState.COMPLETED, "")
    assert second.begin(a_run("/p/upgrade.yml")) == number + 2


def test_a_run_whose_process_is_gone_is_interrupted_and_goes_on(host: Host) -> None:
    first, second, third = host.process(), host.process(), host.process()
    number = first.begin(a_run())
    with pytest.raises(LockedError):
        second.go_on(number, after(1), "", "")
    first.close()
    run = second.run(number)
    assert run is not None
    assert (run.state, run.reason, run.pid) == (RunState.INTERRUPTED, "its process is gone", None)
    second.go_on(number, after(1), "new", "cd")
    run = third.run(number)
    assert run is not None
    assert (run.state, run.continued, run.text, run.text_hash) == (RunState.RUNNING, 1, "new", "cd")
    with pytest.raises(LockedError):
        third.begin(a_run())


# -- lists


def test_lists_are_newest_first_bounded_and_by_playbook(plays: SqlitePlays) -> None:
    for name in "abab":
        number = plays.begin(a_run(f"/p/{name}.yml"))
        plays.write(number, NodeChanged(node=NODES[0], state=NodeState.OK))
        plays.end(number, after(5), RunState.STOPPED, "too many")
    assert [one.run.number for one in plays.runs()] == [4, 3, 2, 1]
    assert [one.run.number for one in plays.runs(newest=1)] == [4]
    assert [one.run.number for one in plays.runs(playbook="a")] == [3, 1]
    assert [one.run.number for one in plays.runs(playbook="/p/b.yml")] == [4, 2]
    (newest, *_) = plays.runs()
    assert newest.counts == {NodeState.OK: 1, NodeState.NOT_STARTED: 2}
    assert (newest.run.state, newest.run.reason, newest.run.ended_at) == (RunState.STOPPED, "too many", after(5))


def test_the_newest_run_that_has_something_left_to_do(plays: SqlitePlays) -> None:
    assert plays.unfinished() is None
    first = plays.begin(a_run(nodes=NODES[:1]))
    plays.end(first, after(1), RunState.STOPPED, "")
    second = plays.begin(a_run(nodes=NODES[:1]))
    assert plays.unfinished() == second
    plays.write(second, NodeChanged(node=NODES[0], state=NodeState.OK))
    plays.end(second, after(1), RunState.COMPLETED, "")
    assert plays.unfinished() == first


def test_a_run_that_was_rolled_back_has_nothing_left_to_do(plays: SqlitePlays) -> None:
    first = plays.begin(a_run())
    plays.end(first, after(1), RunState.STOPPED, "")
    second = plays.begin(replace(a_run(), rolls_back=first))
    plays.end(second, after(2), RunState.STOPPED, "")
    assert (plays.rollbacks(first), plays.rollbacks(second)) == ((second,), ())
    assert plays.unfinished() == second
    run = plays.run(second)
    assert run is not None
    assert run.rolls_back == first


def test_old_runs_are_forgotten_but_never_the_newest_or_a_living_one(host: Host) -> None:
    living, plays = host.process(), host.process()
    kept = living.begin(a_run("/p/long.yml"))
    rare = []
    for _ in range(old_runs.ALWAYS_KEPT + 1):
        rare.append(plays.begin(a_run("/p/rare.yml")))
        plays.end(rare[-1], after(1), RunState.COMPLETED, "")
    for _ in range(old_runs.MOST_RUNS + 5):
        number = plays.begin(a_run(nodes=NODES[:1]))
        plays.write(number, begun("n1"))
        plays.end(number, after(1), RunState.COMPLETED, "")
    left = [one.run.number for one in plays.runs(newest=10_000)]
    assert kept in left
    assert set(rare[1:]) <= set(left), "the newest of each playbook stay, however often another one is run"
    assert len(left) <= old_runs.MOST_RUNS + old_runs.ALWAYS_KEPT + 2
    assert plays.run(rare[0]) is None
    assert plays.progress(rare[0]) == ()


def write_begins(plays: SqlitePlays, number: int, name: str) -> None:
    for index in range(1, 1000):
        plays.write(number, begun(name, index))


def test_on_a_full_disk_a_step_is_not_begun_and_what_was_recorded_stays(tmp_path: Path) -> None:
    SqliteStore.open(tmp_path).close()
    with (
        closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as database,
        closing(SqlitePlays(database, tmp_path / "state.db")) as plays,
    ):
        number = plays.begin(a_run())
        plays.write(number, begun("n1"))
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {int(pages)}")
        with pytest.raises(StoreError, match="no space left for the state database"):
            plays.write(number, ended("n1", out="x" * MOST_OUTPUT_BYTES))
        with pytest.raises(StoreError, match="no space left for the state database"):
            write_begins(plays, number, "n2")
        first, second, _ = plays.progress(number)
        assert first.records == (begun("n1"),)
        assert [record.index for record in second.records] == list(range(1, len(second.records) + 1))
