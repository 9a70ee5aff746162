"""When a pending job may be started, and what people are told until then and afterwards."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.eligibility import (
    begin_reason,
    eligibility,
    late_start,
    pending_reason,
    why_not_eligible,
)
from clbalance.policy.jobs.record import Dependency, DependencyState, gives_up_at
from tests.policy.build import NOW

from .test_gives_up import WAITS, later

BEGIN = later(3600)
KEPT = replace(WAITS, begin_at=BEGIN, reason=begin_reason(BEGIN))
CONTROLLED = replace(KEPT, has_controller=True)
STARTED = replace(KEPT, state=JobState.RUNNING, reason="", waited_for="0/3 nodes fit", waits_since=None)

times = st.none() | st.integers(-9, 9).map(later)
holders = st.sampled_from(["", "ann"])
dependencies = st.sampled_from([Dependency(state=state, reason="after job 1") for state in DependencyState])


@given(holders, times, times.filter(bool))
def test_a_job_is_eligible_exactly_if_nobody_holds_it_and_its_time_has_come(
    holder: str, begin_at: datetime | None, now: datetime
) -> None:
    record = replace(WAITS, held=holder, begin_at=begin_at)
    assert (not why_not_eligible(record, now)) is (not holder and (begin_at is None or begin_at <= now))


@given(holders, times, dependencies)
def test_a_job_is_started_only_if_it_is_eligible_and_after_its_dependencies(
    holder: str, begin_at: datetime | None, before: Dependency
) -> None:
    record = replace(WAITS, held=holder, begin_at=begin_at)
    found = eligibility(record, before, NOW)
    is_free = not why_not_eligible(record, NOW)
    satisfied = before.state is DependencyState.SATISFIED
    assert (found.state is DependencyState.SATISFIED) is (is_free and satisfied)
    assert (found.state is DependencyState.NEVER) is (before.state is DependencyState.NEVER)
    assert found.reason or found.state is DependencyState.SATISFIED


@given(st.integers(-7200, 7200), st.integers(-7200, 7200))
def test_a_clock_that_is_set_back_keeps_a_job_again_and_one_set_forward_lets_it_go(one: int, other: int) -> None:
    """The decision is by the clock alone, and not by what was decided before."""
    for seconds in (one, other, one):
        assert bool(why_not_eligible(KEPT, later(seconds))) is (seconds < 3600)


@pytest.mark.parametrize(
    ("record", "seconds", "suffix"),
    [
        pytest.param(KEPT, 0, "", id="its time has not come"),
        pytest.param(KEPT, 7200, "; waits for `clbalance rebalance`", id="its time has passed, and nobody has it"),
        pytest.param(CONTROLLED, 3600, "", id="its controller starts it now"),
        pytest.param(replace(KEPT, reason="stopped by signal 15"), 0, "", id="its controller was stopped"),
    ],
)
def test_a_begin_time_is_told_with_what_is_awaited(record: JobRecord, seconds: float, suffix: str) -> None:
    assert pending_reason(record, later(seconds)) == f"{begin_reason(BEGIN)}{suffix}"


def test_a_hold_is_told_before_a_begin_time_and_other_reasons_as_they_are() -> None:
    assert pending_reason(replace(KEPT, held="ann"), NOW) == "held by ann"
    assert pending_reason(replace(KEPT, reason="0/3 nodes fit"), later(7200)) == "0/3 nodes fit"
    assert pending_reason(replace(KEPT, state=JobState.FAILED, reason="killed by 9"), NOW) == "killed by 9"


@pytest.mark.parametrize("seconds", [-5, 0, 59])
def test_a_start_in_time_needs_no_reason(seconds: float) -> None:
    assert late_start(replace(STARTED, started_at=BEGIN + timedelta(seconds=seconds))) == ""


@pytest.mark.parametrize(
    ("waited_for", "shown"),
    [
        ("0/3 nodes fit", "0/3 nodes fit"),
        ("held by ann", "held by ann"),
        ("", "no controller and no `rebalance` ran to start it"),
        (begin_reason(BEGIN), "no controller and no `rebalance` ran to start it"),
    ],
)
def test_a_late_start_shows_its_reason(waited_for: str, shown: str) -> None:
    late = late_start(replace(STARTED, waited_for=waited_for, started_at=BEGIN + timedelta(minutes=47)))
    assert late.startswith(f"asked for {begin_reason(BEGIN).removeprefix('not before ')}, began at 2")
    assert late.endswith(f": {shown}")


def test_a_later_attempt_is_not_late() -> None:
    assert late_start(replace(STARTED, attempt=2, started_at=BEGIN + timedelta(days=1))) == ""


def test_the_limit_of_the_queue_begins_with_the_begin_time_and_not_while_a_job_is_held() -> None:
    limit = RestartPolicy(queue_for_s=60.0)
    assert gives_up_at(KEPT, limit, ()) == BEGIN + timedelta(seconds=60)
    assert gives_up_at(replace(KEPT, begin_at=later(-60)), limit, ()) == later(60)
    assert gives_up_at(replace(KEPT, held="ann"), limit, ()) is None
