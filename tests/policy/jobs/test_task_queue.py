"""Whatever slots do, in whatever order: no task is lost, none is with two of them, none is run again unasked."""

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clbalance.model import Cause, NodeName
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import Cancelled, End, Exited, Killed, Lost, NodeFailed, TimedOut
from clbalance.model.task import Task
from clbalance.policy.jobs.task_queue import LostTask, TaskQueue, with_its_slot

A, B = NodeName("a"), NodeName("b")
WELL, BAD = Exited(rc=0), Exited(rc=1)
GONE = NodeFailed(reason="booted again")
SILENT = Lost(cause=Cause.LOST, reason="")
ENDS: tuple[End, ...] = (WELL, BAD, Exited(rc=85), Killed(signal=9), TimedOut(limit_s=1.0), Cancelled(reason=""))
SLOT_ENDS: tuple[End, ...] = (WELL, Killed(signal=9), Cancelled(reason=""), GONE, SILENT)


def roster(count: int, **restart_policy: int) -> TaskQueue:
    return TaskQueue([Task(number=number) for number in range(1, count + 1)], RestartPolicy(**restart_policy))


def taken(queue: TaskQueue, claim: int, most: int = 1, node: NodeName = A) -> list[int]:
    return [task.number for task in queue.take(claim, node, most)]


def fate(number: int, end: End | None = None, *, is_over: bool = True) -> LostTask:
    return LostTask(number=number, end=end, is_over=is_over and end is not None)


def left(queue: TaskQueue) -> list[int]:
    return [task.number for task in queue.forget_pending()]


def test_tasks_are_given_in_their_order() -> None:
    some = roster(4)
    assert (taken(some, 1, 2), taken(some, 2, 1), taken(some, 1, 9), taken(some, 2, 9)) == ([1, 2], [3], [4], [])
    assert (some.pending, some.out, some.running, some.with_slot(1), some.with_slot(9)) == (0, 4, 2, 3, 0)


def test_it_is_known_which_slot_has_a_task() -> None:
    some = roster(2)
    taken(some, 1)
    assert (some.has(1, 1), some.has(1, 2), some.has(2, 1)) == (True, False, False)


def test_what_is_given_back_goes_before_what_comes_later() -> None:
    some = roster(5)
    taken(some, 1, 3)
    taken(some, 2, 1)
    for number in (2, 3):
        some.returned(1, number)
    assert left(some) == [2, 3, 5]


def test_a_slot_that_has_ended_gives_back_what_a_whole_log_does_not_tell_of() -> None:
    some = roster(5)
    taken(some, 1, 4)
    some.began(1, 1)
    some.began(1, 2)
    some.ended(1, 1, WELL)
    assert some.slot_over(1, Killed(signal=9), log_is_whole=True) == [fate(2, Killed(signal=9)), fate(3), fate(4)]
    assert left(some) == [3, 4, 5]


@pytest.mark.parametrize("how", [GONE, SILENT])
def test_of_what_a_slot_without_a_whole_log_had_nothing_is_known(how: End) -> None:
    some = roster(3)
    taken(some, 1, 2)
    some.began(1, 1)
    assert some.slot_over(1, how, log_is_whole=False) == [fate(1, how), fate(2, how)]
    assert left(some) == [3]


def test_a_task_that_failed_is_tried_last_and_elsewhere() -> None:
    some = roster(3, retry=1)
    taken(some, 1)
    assert some.ended(1, 1, BAD) is False
    taken(some, 1)
    assert some.ended(1, 2, BAD) is False
    assert taken(some, 1, 2) == [3, 1], "on its own node only if there is nothing else"
    assert taken(some, 2, node=B) == [2]
    assert some.ended(2, 2, BAD) is True, "that was the last try"


def test_another_task_is_preferred_to_one_that_failed_here() -> None:
    some = roster(2, retry=1)
    taken(some, 1, node=A)
    taken(some, 2, node=B)
    some.ended(1, 1, BAD)
    some.ended(2, 2, BAD)
    assert taken(some, 1, node=A) == [2]
    some.returned(1, 2)
    assert left(some) == [2, 1], "given back, it goes before the others that have failed"


def test_far_behind_nothing_is_looked_for() -> None:
    some = roster(40, retry=1)
    for number in range(1, 41):
        claim, node = (1, A) if number < 40 else (2, B)
        taken(some, claim, node=node)
        some.ended(claim, number, BAD)
    assert taken(some, 1, node=A) == [1]


def test_a_task_of_a_node_that_failed_is_run_again_only_if_asked_for() -> None:
    for requeue in (False, True):
        some = TaskQueue([Task(number=1)], RestartPolicy(requeue=requeue))
        taken(some, 1)
        assert some.may_come_back is requeue
        assert some.slot_over(1, GONE, log_is_whole=False) == [fate(1, GONE, is_over=not requeue)]
        assert (some.pending, some.may_come_back) == (int(requeue), False)


def test_what_nobody_has_is_nobodys() -> None:
    some = roster(2)
    taken(some, 1)
    some.began(9, 1)
    some.returned(9, 1)
    some.returned(1, 2)
    assert some.ended(9, 1, WELL) is None
    assert some.ended(1, 2, WELL) is None
    assert some.slot_over(9, WELL, log_is_whole=True) == []
    assert (some.pending, some.out) == (1, 1)


def test_a_slot_that_ends_by_itself_has_been_killed_for_what_it_had_begun() -> None:
    assert with_its_slot(WELL) == Killed(signal=9)
    assert with_its_slot(SILENT) == SILENT


@dataclass(slots=True)
class Slot:
    """What a slot knows, and what its log says."""

    node: NodeName
    has: list[int] = field(default_factory=list)
    begun: set[int] = field(default_factory=set)


class AnySlots(RuleBasedStateMachine):
    """Slots that take, begin, end and die as they like."""

    @initialize(
        count=st.integers(min_value=0, max_value=40),
        retry=st.integers(min_value=0, max_value=2),
        requeue=st.booleans(),
        codes=st.sampled_from([frozenset(), frozenset({85})]),
    )
    def submit(self, count: int, retry: int, requeue: bool, codes: frozenset[int]) -> None:
        self.count = count
        self.restart_policy = RestartPolicy(retry=retry, requeue=requeue, requeue_exits=codes)
        self.may_again = bool(retry or requeue or codes)
        self.roster = TaskQueue([Task(number=number) for number in range(count)], self.restart_policy)
        self.slots: dict[int, Slot] = {}
        self.failed: set[int] = set()
        self.over: set[int] = set()

    @rule(claim=st.integers(min_value=1, max_value=4), most=st.integers(min_value=0, max_value=5))
    def take(self, claim: int, most: int) -> None:
        slot = self.slots.setdefault(claim, Slot(A if claim % 2 else B))
        pending = self.roster.pending
        numbers = [task.number for task in self.roster.take(claim, slot.node, most)]
        assert len(numbers) == min(most, pending)
        held = {number for other in self.slots.values() for number in other.has}
        assert not held & set(numbers), "with one slot only"
        assert not self.over & set(numbers), "not when it is over"
        fresh = [number for number in numbers if number not in self.failed]
        assert numbers[: len(fresh)] == sorted(fresh), "in order, and those that failed behind"
        slot.has += numbers

    def _some(self, data: st.DataObject) -> tuple[int, Slot]:
        claim = data.draw(st.sampled_from([claim for claim, slot in self.slots.items() if slot.has]))
        return claim, self.slots[claim]

    def _has_some(self) -> bool:
        return any(slot.has for slot in self.slots.values())

    @precondition(_has_some)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        claim, slot = self._some(data)
        number = data.draw(st.sampled_from(slot.has))
        slot.begun.add(number)
        self.roster.began(claim, number)

    @precondition(_has_some)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        claim, slot = self._some(data)
        number = slot.has.pop()
        slot.begun.discard(number)
        self.roster.returned(claim, number)

    @precondition(_has_some)
    @rule(data=st.data(), end=st.sampled_from(ENDS))
    def end(self, data: st.DataObject, end: End) -> None:
        claim, slot = self._some(data)
        number = slot.has.pop(0)
        slot.begun.discard(number)
        self._is(number, is_over=self.roster.ended(claim, number, end), end=end)
        assert self.roster.ended(claim, number, end) is None, "once"

    def _is(self, number: int, *, is_over: bool | None, end: End) -> None:
        assert is_over is not None
        if is_over:
            assert number not in self.over, "once"
            self.over.add(number)
        else:
            assert self.may_again, "not unasked"
            assert end not in (WELL, SILENT)
            self.failed.add(number)

    @precondition(lambda self: self.slots)
    @rule(data=st.data(), how=st.sampled_from(SLOT_ENDS), log_is_whole=st.booleans())
    def lose_slot(self, data: st.DataObject, how: End, log_is_whole: bool) -> None:
        claim = data.draw(st.sampled_from(sorted(self.slots)))
        slot = self.slots.pop(claim)
        fates = self.roster.slot_over(claim, how, log_is_whole=log_is_whole)
        assert [fate.number for fate in fates] == slot.has
        for fate in fates:
            if log_is_whole and fate.number not in slot.begun:
                assert (fate.end, fate.is_over) == (None, False), "it was not started"
            else:
                assert fate.end == with_its_slot(how)
                self._is(fate.number, is_over=fate.is_over, end=fate.end)

    @invariant()
    def none_is_lost(self) -> None:
        if hasattr(self, "roster"):
            out = sum(len(slot.has) for slot in self.slots.values())
            assert self.roster.out == out
            assert self.roster.pending + out + len(self.over) == self.count

    def teardown(self) -> None:
        if hasattr(self, "roster"):
            numbers = left(self.roster)
            fresh = [number for number in numbers if number not in self.failed]
            assert fresh == sorted(fresh)
            assert numbers[: len(fresh)] == fresh
            assert (self.roster.pending, len(set(numbers))) == (0, len(numbers))


TestAnySlots = AnySlots.TestCase
