"""No task is sent before the entry that names it is on disk, and a sync is for all entries before it."""

from collections.abc import Callable, Sequence
from typing import cast

import pytest

from clbalance.engine.tasks.given_tasks import GivenTasks
from clbalance.engine.tasks.slot import Slot
from clbalance.errors import StoreError
from clbalance.model.task import Task, TaskEvent

ONE, TWO, THREE = ([Task(number=number)] for number in (1, 2, 3))
SLOT, OTHER = cast("Slot", object()), cast("Slot", object())


class SlowLog:
    """A log whose syncs end when a test says so."""

    def __init__(self) -> None:
        self.syncs: list[Callable[[StoreError | None], None]] = []

    def add(self, events: Sequence[TaskEvent], *, durable: bool) -> None:
        """Nothing: whoever assigns tasks has written them."""

    def sync(self, done: Callable[[StoreError | None], None]) -> None:
        self.syncs.append(done)

    def events(self) -> tuple[TaskEvent, ...]:
        return ()

    def close(self) -> None:
        """Nothing is open."""


def test_tasks_wait_for_their_entries_and_then_are_told_of() -> None:
    woken: list[bool] = []
    log = SlowLog()
    some = GivenTasks(log, lambda: woken.append(True))
    some.add([(SLOT, ONE)])
    assert list(some.durable()) == []
    assert some.waiting_slots() == {SLOT}
    log.syncs[0](None)
    assert (some.can_go_on, woken) == (True, [True])
    assert list(some.durable()) == [(SLOT, ONE)]
    assert (some.can_go_on, some.waiting_slots()) == (False, set())


def test_what_is_written_during_a_sync_waits_for_the_next() -> None:
    log = SlowLog()
    some = GivenTasks(log, lambda: None)
    some.add([(SLOT, ONE)])
    assert list(some.durable()) == []
    some.add([(OTHER, TWO)])
    some.add([(SLOT, THREE)])
    assert list(some.durable()) == []
    assert len(log.syncs) == 1
    log.syncs[0](None)
    assert list(some.durable()) == [(SLOT, ONE)]
    assert len(log.syncs) == 2
    log.syncs[1](None)
    assert list(some.durable()) == [(OTHER, TWO), (SLOT, THREE)]


def test_what_is_taken_back_is_not_sent_and_the_next_sync_still_waits_for_the_one_before() -> None:
    log = SlowLog()
    some = GivenTasks(log, lambda: None)
    some.add([(SLOT, ONE)])
    assert list(some.durable()) == []
    some.add([(SLOT, TWO), (OTHER, THREE)])
    assert some.take_back(SLOT) == [*TWO, *ONE]
    assert (some.waiting_slots(), some.take_back(SLOT)) == ({OTHER}, [])
    assert list(some.durable()) == []
    assert len(log.syncs) == 1
    log.syncs[0](None)
    assert list(some.durable()) == []
    log.syncs[1](None)
    assert list(some.durable()) == [(OTHER, THREE)]


def test_nothing_is_sent_that_could_not_be_written() -> None:
    log = SlowLog()
    some = GivenTasks(log, lambda: None)
    some.add([(SLOT, ONE)])
    assert list(some.durable()) == []
    log.syncs[0](StoreError("the disk is full"))
    with pytest.raises(StoreError, match="the disk is full"):
        list(some.durable())
