"""What a host remembers of its jobs, as rebalancing wants to know it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clbalance.model import NodeName, Qos, Request
from clbalance.model.job import Command, JobSpec, RestartPolicy, Submitted
from clbalance.model.job_record import (
    CopyRecord,
    Exited,
    Intent,
    JobRecord,
    JobState,
    MigrationRequest,
    MigrationStage,
    Outcome,
    Usage,
)
from clbalance.policy.jobs.requeue import MISSED_CHECKPOINT
from clbalance.policy.rebalance.candidates import JobInfo, departures, is_recent, jobs_on, running_job
from clbalance.policy.rebalance.values import Departure

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
N1, N2, N3 = (NodeName(name) for name in ("n1", "n2", "n3"))
SPEC = JobSpec(
    id=1, key="ab" * 16, name="train", payload=Command(argv=("a",)), chdir="/", chdir_explicit=False, umask=0o22
)


def ago(seconds: float) -> datetime:
    return NOON - timedelta(seconds=seconds)


def copy(attempt: int, node: NodeName, seconds: float | None = None) -> CopyRecord:
    intent = Intent(node=node, rank=0, boot_id="b", incarnation="c")
    outcome = None if seconds is None else Outcome(node=node, rank=0, end=Exited(rc=0), seconds=seconds)
    return CopyRecord(attempt=attempt, claim=attempt, intent=intent, outcome=outcome)


def known(
    copies: Sequence[CopyRecord], *, state: JobState = JobState.RUNNING, attempt: int = 1, limit_s: float | None = None
) -> JobInfo:
    record = JobRecord(
        id=7,
        key=SPEC.key,
        name="train",
        state=state,
        reason="",
        rc=None,
        attempt=attempt,
        claim=attempt,
        nodes=tuple(one.intent.node for one in copies if one.attempt == attempt),
        submitted_at=ago(1000),
        started_at=ago(100),
        ended_at=ago(50) if state.is_over else None,
        has_controller=False,
    )
    submitted = Submitted(
        job=replace(SPEC, time_limit_s=limit_s),
        request=Request(cpus=2.0),
        candidates=(N1, N2),
        restart_policy=RestartPolicy(requeue=True),
    )
    return JobInfo(record=record, submitted=submitted, copies=tuple(copies))


def test_a_running_job_is_told_with_where_it_has_been_and_what_it_uses() -> None:
    job = known([copy(1, N2, 30.0), copy(2, N1)], attempt=2)
    message = running_job(job, Usage(cpu_s=150.0, mem_bytes=1), frozenset({N1, N2, N3}), NOON)
    assert (message.job, message.key, message.node, message.qos, message.why_not_migratable) == (
        7,
        SPEC.key,
        N1,
        Qos.BURSTABLE,
        "",
    )
    assert message.earlier_nodes == {N2}
    assert message.migrated_s_ago == 100.0
    assert message.cpus_used == 1.5


def test_a_job_goes_to_none_but_its_own_candidates() -> None:
    message = running_job(known([copy(1, N1)]), None, frozenset({N1, N2, N3}), NOON)
    assert message.request.excluded == message.not_committed == {N3}


def test_a_job_at_its_first_node_was_never_moved() -> None:
    assert running_job(known([copy(1, N1)]), None, frozenset({N1}), NOON).migrated_s_ago is None


@pytest.mark.parametrize(
    ("usage", "started"),
    [
        pytest.param(None, ago(100), id="nobody told"),
        pytest.param(Usage(cpu_s=5.0, mem_bytes=1), ago(10), id="it has just begun"),
        pytest.param(Usage(cpu_s=5.0, mem_bytes=1), None, id="nobody knows since when"),
        pytest.param(Usage(cpu_s=5.0, mem_bytes=1), ago(-100), id="the clock was set back"),
    ],
)
def test_what_is_not_known_of_its_use_is_not_taken_for_none(usage: Usage | None, started: datetime | None) -> None:
    job = known([copy(1, N1)])
    job = replace(job, record=replace(job.record, started_at=started))
    assert running_job(job, usage, frozenset({N1}), NOON).cpus_used is None


def test_a_job_that_has_ended_lately_shows_on_its_node_still() -> None:
    job = known([copy(1, N1, 70.0)], state=JobState.COMPLETED)
    assert departures([job], NOON) == (Departure(node=N1, cpus=2.0, age_s=70.0, seconds_ago=50.0),)


def test_a_job_that_was_moved_lately_shows_where_it_was() -> None:
    job = known([copy(1, N2, 30.0), copy(2, N1)], attempt=2)
    assert departures([job], NOON) == (Departure(node=N2, cpus=2.0, age_s=30.0, seconds_ago=100.0),)


@pytest.mark.parametrize(
    "job",
    [
        pytest.param(known([copy(1, N1)]), id="what still runs"),
        pytest.param(known([copy(1, N1, 0.0)], state=JobState.FAILED), id="what never started"),
        pytest.param(known([], state=JobState.CANCELLED), id="what was nowhere"),
    ],
)
def test_what_has_left_no_trace_is_no_departure(job: JobInfo) -> None:
    assert departures([job], NOON) == ()


def test_what_ended_long_ago_shows_no_more() -> None:
    job = known([copy(1, N1, 70.0)], state=JobState.COMPLETED)
    long_ago = replace(job, record=replace(job.record, ended_at=ago(601)))
    assert departures([long_ago], NOON) == ()
    assert is_recent(job.record, NOON)
    assert not is_recent(long_ago.record, NOON)
    assert is_recent(known([]).record, NOON)


def test_an_end_is_known_where_there_is_a_time_limit() -> None:
    assert known([copy(1, N1)]).ends_at is None
    assert known([copy(1, N1)], limit_s=160.0).ends_at == ago(-60)
    job = known([copy(1, N1)], limit_s=160.0)
    assert replace(job, record=replace(job.record, started_at=None)).ends_at is None


def test_jobs_on_nodes_are_those_that_run_there() -> None:
    here, elsewhere = known([copy(1, N1)]), known([copy(1, N2)])
    over = known([copy(1, N1, 1.0)], state=JobState.COMPLETED)
    assert jobs_on([here, elsewhere, over], frozenset({N1})) == [here]
    assert not known([]).is_running


@pytest.mark.parametrize(
    ("move", "seconds"),
    [
        pytest.param({"abort_reason": MISSED_CHECKPOINT}, 40.0, id="it was told to checkpoint, in vain"),
        pytest.param({"abort_reason": "n2: no room"}, None, id="nothing has reached it"),
        pytest.param({"abort_reason": MISSED_CHECKPOINT, "attempt": 2}, None, id="another attempt was"),
    ],
)
def test_a_job_that_would_not_checkpoint_is_left_alone_for_a_while(
    move: dict[str, object], seconds: float | None
) -> None:
    order = MigrationRequest(
        attempt=1, dst=N2, reason="level", stage=MigrationStage.ABORTED, requested_at_s=NOON.timestamp() - 40.0
    )
    job = replace(known([copy(1, N1)]), migration=replace(order, **move))  # type: ignore[arg-type]  # a field's own
    message = running_job(job, None, frozenset({N1}), NOON)
    assert (message.migrated_s_ago, message.missed_checkpoint) == (seconds, seconds is not None)
