"""What a log of tasks makes of them, and they of their job."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Cause, NodeName
from clbalance.model.job_record import Cancelled, End, Exited, JobState, Killed, Lost, NodeFailed, TimedOut
from clbalance.model.task import Task, TaskEnded, TaskEvent, TaskGiven, TaskRecord, TaskReturned
from clbalance.policy.jobs.task_records import (
    counts_and_reason,
    is_done,
    is_open,
    state_of_task,
    summary_of,
    summary_text,
    task_job_outcome,
    task_records,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NODE = NodeName("n")
WELL, BAD = Exited(rc=0), Exited(rc=3)
SILENT = Lost(cause=Cause.HUNG, reason="")
TASKS = tuple(Task(number=number) for number in (1, 2, 3))


def given_to(claim: int, number: int = 1) -> TaskGiven:
    return TaskGiven(number=number, node=NODE, claim=claim)


def returned(claim: int, number: int = 1) -> TaskReturned:
    return TaskReturned(number=number, claim=claim)


def ended(claim: int, end: End = WELL, number: int = 1) -> TaskEnded:
    return TaskEnded(number=number, node=NODE, claim=claim, end=end, seconds=1.5, at=NOON)


def first(*events: TaskEvent) -> TaskRecord:
    return task_records(TASKS, events)[0]


@pytest.mark.parametrize(
    ("events", "state", "claim"),
    [
        pytest.param([], JobState.PENDING, 0, id="never given"),
        pytest.param([given_to(1)], JobState.RUNNING, 1, id="given: it may run"),
        pytest.param([given_to(1), returned(1)], JobState.PENDING, 0, id="given back"),
        pytest.param([given_to(1), ended(1)], JobState.COMPLETED, 1, id="ended"),
        pytest.param([given_to(1), ended(1, BAD), given_to(2)], JobState.RUNNING, 2, id="once more"),
        pytest.param([given_to(1), ended(1, BAD), given_to(2), ended(2)], JobState.COMPLETED, 2, id="the last counts"),
        pytest.param([given_to(1), given_to(2), returned(1)], JobState.RUNNING, 2, id="given back by another slot"),
        pytest.param([given_to(1), given_to(2), ended(1, BAD)], JobState.RUNNING, 2, id="an end of another slot"),
        pytest.param([given_to(1), ended(1), returned(1)], JobState.COMPLETED, 1, id="given back after its end"),
        pytest.param([given_to(1), ended(1, SILENT)], JobState.RUNNING, 1, id="a silent node: it may run"),
        pytest.param([given_to(1), ended(1, SILENT), ended(1, BAD)], JobState.FAILED, 1, id="then it spoke"),
        pytest.param([given_to(1), ended(1), ended(1, SILENT)], JobState.COMPLETED, 1, id="silence after its end"),
        pytest.param([ended(1)], JobState.COMPLETED, 1, id="only the end can be read"),
        pytest.param([given_to(1, number=9), ended(1, number=9)], JobState.PENDING, 0, id="no task of this job"),
    ],
)
def test_the_last_word_counts(events: list[TaskEvent], state: JobState, claim: int) -> None:
    message = first(*events)
    assert (state_of_task(message), message.claim, message.node) == (state, claim, NODE if claim else None)
    assert is_open(message) == (state is JobState.RUNNING)
    assert is_done(message) == (state is JobState.COMPLETED)


NUMBERS, CLAIMS = st.integers(min_value=0, max_value=4), st.integers(min_value=1, max_value=3)
EVENTS = st.lists(
    st.builds(given_to, CLAIMS, NUMBERS)
    | st.builds(returned, CLAIMS, NUMBERS)
    | st.builds(ended, CLAIMS, st.sampled_from([WELL, BAD, SILENT]), NUMBERS)
)


@given(EVENTS)
def test_any_log_tells_of_each_task_once_and_in_order(events: list[TaskEvent]) -> None:
    records = task_records(TASKS, events)
    assert [record.task for record in records] == list(TASKS)
    for record in records:
        own = [event for event in events if event.number == record.task.number]
        assert record == task_records([record.task], own)[0], "what is told of others does not matter"
        assert (record.node is None) == (record.claim == 0)
        assert record.node is not None or record.end is None


@given(EVENTS)
def test_a_log_that_is_told_twice_over_by_two_who_settle_says_the_same(events: list[TaskEvent]) -> None:
    settled = [event for event in events if not isinstance(event, TaskGiven)]
    once = task_records(TASKS, [given_to(1, 1), given_to(2, 2), *settled])
    ends = [one for one in once if one.end not in (None, SILENT)]
    again = task_records(TASKS, [given_to(1, 1), given_to(2, 2), *settled, *settled])
    assert all(is_done(after) or after.end is not None for one, after in zip(once, again, strict=True) if one in ends)


def job_of(*ends: End | None) -> list[TaskRecord]:
    """None: not started."""
    return [
        TaskRecord(task=Task(number=number))
        if end is None
        else TaskRecord(task=Task(number=number), node=NODE, claim=1, end=end)
        for number, end in enumerate(ends)
    ]


RUNS = TaskRecord(task=Task(number=7), node=NODE, claim=1)


@pytest.mark.parametrize(
    ("records", "state", "rc", "reason"),
    [
        pytest.param(job_of(WELL, WELL), "COMPLETED", 0, "", id="all well"),
        pytest.param(
            job_of(WELL, BAD, Exited(rc=9)), "FAILED", 9, "1 of 3 tasks completed, 2 failed", id="the highest code"
        ),
        pytest.param(
            job_of(BAD, TimedOut(limit_s=1.0)),
            "TIMEOUT",
            124,
            "0 of 2 tasks completed, 1 failed, 1 timed out",
            id="the gravest end",
        ),
        pytest.param(
            job_of(WELL, NodeFailed(reason="")),
            "NODE_FAIL",
            125,
            "1 of 2 tasks completed, 1 lost with their node",
            id="a node",
        ),
        pytest.param(
            job_of(WELL, Cancelled(reason="")),
            "CANCELLED",
            125,
            "1 of 2 tasks completed, 1 cancelled",
            id="ended by us",
        ),
        pytest.param(job_of(WELL, None), "FAILED", 125, "1 of 2 tasks completed, 1 not started: why", id="not started"),
        pytest.param(
            job_of(Killed(signal=9), None, None),
            "FAILED",
            137,
            "0 of 3 tasks completed, 2 not started, 1 failed: why",
            id="failed and not started",
        ),
        pytest.param(
            [*job_of(WELL), RUNS], "RUNNING", 125, "1 of 2 tasks completed, 1 unknown", id="one is still with its slot"
        ),
        pytest.param(
            job_of(BAD, SILENT),
            "RUNNING",
            125,
            "0 of 2 tasks completed, 1 unknown, 1 failed",
            id="a silent node has not failed",
        ),
        pytest.param([], "COMPLETED", 0, "", id="none at all"),
    ],
)
def test_its_tasks_make_of_a_job(records: list[TaskRecord], state: str, rc: int, reason: str) -> None:
    message = task_job_outcome(records, "why")
    assert (message.state, message.rc, message.reason) == (state, rc, reason)


def test_what_was_not_started_because_somebody_said_so_is_cancelled() -> None:
    assert task_job_outcome(job_of(WELL, None), "", cancelled=True).state is JobState.CANCELLED
    assert task_job_outcome(job_of(WELL, None), "").reason == "1 of 2 tasks completed, 1 not started"
    assert task_job_outcome(job_of(WELL), "", cancelled=True).state is JobState.COMPLETED


def test_all_counts_add_up_and_only_what_was_not_started_has_a_reason() -> None:
    summary = summary_of([*job_of(WELL, BAD, Cancelled(reason=""), SILENT, None), RUNS])
    assert (summary.total, sum(summary.by_state.values())) == (6, 6)
    assert summary_text(summary, "why") == (
        "1 of 6 tasks completed, 1 not started, 2 unknown, 1 failed, 1 cancelled: why"
    )
    assert summary_text(summary_of(job_of(WELL, BAD)), "why") == "1 of 2 tasks completed, 1 failed"
    assert summary_text(summary_of(job_of(WELL)), "why") == "1 of 1 tasks completed"


def test_counts_and_reason_are_told_once() -> None:
    part, none = summary_of(job_of(WELL, Cancelled(reason=""))), summary_of(job_of(None, None))
    assert counts_and_reason(summary_of([RUNS]), "", is_over=False) == "0 of 1 tasks completed, 1 running"
    assert (
        counts_and_reason(summary_of([RUNS]), "n: hung", is_over=False) == "0 of 1 tasks completed, 1 unknown: n: hung"
    )
    assert counts_and_reason(part, "by ann", is_over=True) == "1 of 2 tasks completed, 1 cancelled: by ann"
    assert counts_and_reason(part, summary_text(part), is_over=True) == summary_text(part)
    assert counts_and_reason(none, "no room", is_over=False) == "no room"
    assert counts_and_reason(none, "by ann", is_over=True) == "0 of 2 tasks completed, 2 not started: by ann"
