"""How long a job waits for its first start: from its submission, or from the end of the jobs before it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.record import gives_up_at
from tests.policy.build import NOW

LIMIT = RestartPolicy(queue_for_s=60.0)
WAITS = JobRecord(
    id=1,
    key="k",
    name="j",
    state=JobState.PENDING,
    reason="0/1 nodes fit",
    rc=None,
    attempt=1,
    claim=1,
    nodes=(),
    submitted_at=NOW,
    started_at=None,
    ended_at=None,
    has_controller=False,
    queued=True,
    waits_since=NOW,
)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def over(seconds: float) -> JobRecord:
    return replace(WAITS, id=2, state=JobState.COMPLETED, ended_at=later(seconds))


@pytest.mark.parametrize(
    ("before", "until"),
    [
        ((), later(60)),
        ((None,), later(60)),
        ((over(30),), later(90)),
        ((over(30), over(-30)), later(90)),
        ((over(30), replace(WAITS, id=3)), None),
    ],
    ids=["nobody", "forgotten", "one", "the last of two", "one that goes on"],
)
def test_the_limit_begins_when_it_could_have_started(before: tuple[JobRecord | None, ...], until: datetime) -> None:
    assert gives_up_at(WAITS, LIMIT, before) == until


def test_without_a_limit_or_once_it_has_run_it_waits_as_long_as_it_takes() -> None:
    assert gives_up_at(WAITS, RestartPolicy(), ()) is None
    assert gives_up_at(replace(WAITS, waits_since=None), LIMIT, ()) is None
