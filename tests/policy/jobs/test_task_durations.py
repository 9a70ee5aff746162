"""The longest tasks are given out first, as far as it is known what they took before."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import NodeName
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import End, Exited, Killed
from clbalance.model.task import Task, TaskRecord
from clbalance.policy.jobs.task_durations import ALIKE_S, expected_durations
from clbalance.policy.jobs.task_queue import TaskQueue

NODE = NodeName("a")
WELL = Exited(rc=0)


def line(number: int, text: str) -> Task:
    return Task(number=number, words=(text,))


def took(task: Task, seconds: float, end: End = WELL) -> TaskRecord:
    return TaskRecord(task=task, node=NODE, claim=1, end=end, seconds=seconds)


def order(tasks: list[Task], durations: dict[int, float]) -> list[int]:
    queue = TaskQueue(tasks, RestartPolicy())
    queue.expect(durations)
    return [task.number for task in queue.take(1, NODE, len(tasks))]


def test_a_line_of_a_list_takes_what_it_took_wherever_it_stood() -> None:
    earlier = [took(line(1, "long"), 9.0), took(line(2, "short"), 1.0)]
    assert expected_durations([line(1, "short"), line(7, "long")], earlier) == {1: 1.0, 7: 9.0}


def test_a_task_of_an_array_takes_what_its_number_took() -> None:
    earlier = [took(Task(number=3), 5.0), took(Task(number=4), 6.0)]
    assert expected_durations([Task(number=4), Task(number=3)], earlier) == {4: 6.0, 3: 5.0}


@pytest.mark.parametrize("end", [Exited(rc=1), Killed(signal=9), None])
def test_a_task_that_is_new_or_did_not_complete_counts_as_the_mean(end: End | None) -> None:
    failed = TaskRecord(task=line(3, "c"), node=NODE, claim=1, end=end, seconds=0.1)
    earlier = [took(line(1, "a"), 2.0), took(line(2, "b"), 4.0), failed]
    tasks = [line(1, "a"), line(2, "b"), line(3, "c"), line(4, "new")]
    assert expected_durations(tasks, earlier) == {1: 2.0, 2: 4.0, 3: 3.0, 4: 3.0}


def test_other_commands_tell_nothing() -> None:
    assert expected_durations([line(1, "a")], [took(line(1, "b"), 2.0)]) == {}


def test_the_longest_is_given_out_first_and_what_comes_back_takes_its_turn_again() -> None:
    queue = TaskQueue([Task(number=number) for number in range(1, 5)], RestartPolicy())
    queue.expect({1: 1.0, 2: 3.0, 3: 9.0, 4: 2.0})
    assert [task.number for task in queue.take(1, NODE, 2)] == [3, 2]
    queue.returned(1, 3)
    assert [task.number for task in queue.take(2, NODE, 4)] == [3, 4, 1]


def test_tasks_of_about_the_same_duration_stay_in_their_order() -> None:
    tasks = [Task(number=number) for number in range(1, 4)]
    assert order(tasks, {1: 0.001, 2: 0.9 * ALIKE_S, 3: 0.002}) == [1, 2, 3]
    assert order(tasks, {}) == [1, 2, 3]


@given(st.dictionaries(st.integers(1, 50), st.floats(0.0, 1e6), max_size=50))
def test_every_task_is_given_out_once_and_none_long_before_a_longer_one(durations: dict[int, float]) -> None:
    given_out = order([Task(number=number) for number in durations], durations)
    assert sorted(given_out) == sorted(durations)
    for before, after in pairwise(given_out):
        assert durations[before] >= durations[after] - ALIKE_S
