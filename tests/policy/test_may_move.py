"""Which jobs may be taken to another node while they run."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clbalance.job import Checkpoint, Command, JobRecord, JobSpec, JobState, Submitted, TaskRules, Tries
from clbalance.model import NodeName, Request
from clbalance.policy.may_move import hindrance

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
    assert hindrance(RUNNING, replace(MARKED, tries=tries)) == ""


@pytest.mark.parametrize(
    ("record", "submitted", "why"),
    [
        pytest.param(
            RUNNING, replace(MARKED, tries=Tries()), "not marked `--requeue` or `--checkpoint`", id="unmarked"
        ),
        pytest.param(
            RUNNING,
            replace(MARKED, tries=Tries(retry=3, requeue_exits=frozenset({85}))),
            "not marked `--requeue` or `--checkpoint`",
            id="other marks are none",
        ),
        pytest.param(
            RUNNING, replace(MARKED, job=replace(SPEC, pty=(24, 80))), "has a terminal", id="somebody sits before it"
        ),
        pytest.param(
            RUNNING, replace(MARKED, rules=TaskRules()), "gives out tasks", id="tasks bind late by themselves"
        ),
        pytest.param(
            replace(RUNNING, nodes=(NodeName("n1"), NodeName("n2"))), MARKED, "has 2 copies", id="everywhere or nowhere"
        ),
        pytest.param(replace(RUNNING, state=JobState.PENDING), MARKED, "PENDING", id="what does not run"),
    ],
)
def test_what_stays_says_why(record: JobRecord, submitted: Submitted, why: str) -> None:
    assert hindrance(record, submitted) == why
