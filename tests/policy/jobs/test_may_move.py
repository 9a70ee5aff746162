"""Which jobs may be taken to another node while they run."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clbalance.model import NodeName, Request
from clbalance.model.job import Checkpoint, Command, JobSpec, Submitted, Tries
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.record import hindrance, hindrance_now, may_be_moved

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
SPEC = JobSpec(
    id=1, key="ab" * 16, name="train", work=Command(argv=("a",)), chdir="/", chdir_explicit=False, umask=0o22
)
MARKED = Submitted(job=SPEC, request=Request(), candidates=(NodeName("n1"),), tries=Tries(requeue=True))
RUNNING = JobRecord(
    id=1,
    key=SPEC.key,
    name="train",
    state=JobState.RUNNING,
    reason="",
    rc=None,
    attempt=1,
    claim=1,
    nodes=(NodeName("n1"),),
    submitted_at=NOON,
    started_at=NOON,
    ended_at=None,
    controlled=False,
)


@pytest.mark.parametrize(
    "tries",
    [
        pytest.param(Tries(requeue=True), id="what starts again if its node fails"),
        pytest.param(Tries(checkpoint=Checkpoint(signal=10)), id="what can checkpoint"),
    ],
)
def test_a_marked_job_may_be_moved(tries: Tries) -> None:
    assert may_be_moved(SPEC, Request(), tries)
    assert hindrance_now(RUNNING, replace(MARKED, tries=tries)) == ""


@pytest.mark.parametrize(
    ("job", "request_", "tries", "why"),
    [
        pytest.param(SPEC, Request(), Tries(), "not marked `--requeue` or `--checkpoint`", id="unmarked"),
        pytest.param(
            SPEC,
            Request(),
            Tries(retry=3, requeue_exits=frozenset({85})),
            "not marked `--requeue` or `--checkpoint`",
            id="other marks are none",
        ),
        pytest.param(replace(SPEC, pty=(24, 80)), Request(), MARKED.tries, "has a terminal", id="somebody sits there"),
        pytest.param(replace(SPEC, slots=True), Request(), MARKED.tries, "gives out tasks", id="tasks bind late"),
        pytest.param(SPEC, Request(pick=2), MARKED.tries, "is a job of several copies", id="everywhere or nowhere"),
        pytest.param(SPEC, Request(pick=None), MARKED.tries, "is a job of several copies", id="wherever it fits"),
    ],
)
def test_what_stays_says_why(job: JobSpec, request_: Request, tries: Tries, why: str) -> None:
    assert hindrance(job, request_, tries) == why
    assert not may_be_moved(job, request_, tries)


def test_what_does_not_run_is_not_moved() -> None:
    assert hindrance_now(replace(RUNNING, state=JobState.PENDING), MARKED) == "PENDING"
