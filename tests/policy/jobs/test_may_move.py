"""Which jobs may be taken to another node while they run."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clbalance.model import NodeName, Request
from clbalance.model.job import Checkpoint, Command, JobSpec, RestartPolicy, Submitted
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.record import is_migratable, why_not_migratable, why_not_migratable_now

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
SPEC = JobSpec(
    id=1, key="ab" * 16, name="train", payload=Command(argv=("a",)), chdir="/", chdir_explicit=False, umask=0o22
)
MARKED = Submitted(
    job=SPEC, request=Request(), candidates=(NodeName("n1"),), restart_policy=RestartPolicy(requeue=True)
)
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
    has_controller=False,
)


@pytest.mark.parametrize(
    "restart_policy",
    [
        pytest.param(RestartPolicy(requeue=True), id="what starts again if its node fails"),
        pytest.param(RestartPolicy(checkpoint=Checkpoint(signal=10)), id="what can checkpoint"),
    ],
)
def test_a_marked_job_may_be_moved(restart_policy: RestartPolicy) -> None:
    assert is_migratable(SPEC, Request(), restart_policy)
    assert why_not_migratable_now(RUNNING, replace(MARKED, restart_policy=restart_policy)) == ""


@pytest.mark.parametrize(
    ("job", "request_", "restart_policy", "reason"),
    [
        pytest.param(SPEC, Request(), RestartPolicy(), "not marked `--requeue` or `--checkpoint`", id="unmarked"),
        pytest.param(
            SPEC,
            Request(),
            RestartPolicy(retry=3, requeue_exits=frozenset({85})),
            "not marked `--requeue` or `--checkpoint`",
            id="other marks are none",
        ),
        pytest.param(
            replace(SPEC, pty=(24, 80)), Request(), MARKED.restart_policy, "has a terminal", id="somebody sits there"
        ),
        pytest.param(
            replace(SPEC, slots=True), Request(), MARKED.restart_policy, "gives out tasks", id="tasks bind late"
        ),
        pytest.param(
            SPEC, Request(pick=2), MARKED.restart_policy, "is a job of several copies", id="everywhere or nowhere"
        ),
        pytest.param(
            SPEC, Request(pick=None), MARKED.restart_policy, "is a job of several copies", id="wherever it fits"
        ),
    ],
)
def test_what_stays_says_why(job: JobSpec, request_: Request, restart_policy: RestartPolicy, reason: str) -> None:
    assert why_not_migratable(job, request_, restart_policy) == reason
    assert not is_migratable(job, request_, restart_policy)


def test_what_does_not_run_is_not_moved() -> None:
    assert why_not_migratable_now(replace(RUNNING, state=JobState.PENDING), MARKED) == "PENDING"
