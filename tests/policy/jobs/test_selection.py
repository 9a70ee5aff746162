"""Which jobs are meant by time, state, name and owner."""

from datetime import UTC, datetime, timedelta

import pytest

from clbalance.errors import UsageError
from clbalance.model.job_record import JobState
from clbalance.policy.jobs.selection import JobFilter, parse_states

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def takes(
    one: JobFilter, name: str = "train-1", state: str = "FAILED", owner: str = "ann", ended_at: datetime | None = NOON
) -> bool:
    return one.takes(name=name, state=state, owner=owner, ended_at=ended_at)


@pytest.mark.parametrize(
    ("chosen", "is_taken"),
    [
        (JobFilter(), True),
        (JobFilter(since=NOON), True),
        (JobFilter(since=NOON + timedelta(seconds=1)), False),
        (JobFilter(states=frozenset({JobState.FAILED, JobState.TIMEOUT})), True),
        (JobFilter(states=frozenset({JobState.TIMEOUT})), False),
        (JobFilter(names=("eval", "train-[12]")), True),
        (JobFilter(names=("train",)), False),
        (JobFilter(names=("TRAIN*",)), False),
        (JobFilter(owners=frozenset({"ann"})), True),
        (JobFilter(owners=frozenset({"bob"}), names=("train*",)), False),
    ],
    ids=str,
)
def test_all_conditions_must_be_met(chosen: JobFilter, is_taken: bool) -> None:
    assert takes(chosen) is is_taken


def test_what_is_not_over_was_not_over_before_any_time() -> None:
    assert takes(JobFilter(since=NOON + timedelta(days=1)), ended_at=None)


def test_a_time_or_a_state_of_what_is_over_asks_for_what_is_over() -> None:
    assert JobFilter(since=NOON).wants_ended
    assert JobFilter(states=frozenset({JobState.RUNNING, JobState.FAILED})).wants_ended
    assert not JobFilter(states=frozenset({JobState.RUNNING, JobState.PENDING}), names=("a",)).wants_ended


def test_states_are_read_in_any_case_and_unknown_ones_are_answered_with_the_list() -> None:
    assert parse_states(["failed, Node_Fail", "RUNNING"]) == {JobState.FAILED, JobState.NODE_FAIL, JobState.RUNNING}
    assert parse_states([]) == frozenset()
    with pytest.raises(UsageError, match="unknown state 'done'") as error:
        parse_states(["failed,done"])
    assert error.value.hint == "one of " + ", ".join(sorted(state.value for state in JobState))
