"""Slurm's job states and exit codes in our words. The table is that of docs/design/engines.md."""

import re
from pathlib import Path

import pytest

from clbalance.model.job_record import (
    Cancelled,
    End,
    Exited,
    JobState,
    Killed,
    NodeFailed,
    NotStarted,
    OutOfMemory,
    TimedOut,
)
from clbalance.model.slurm import SlurmJob
from clbalance.policy.jobs.outcome import state_of
from clbalance.policy.slurm.states import KNOWN, Terms, ends, is_over, job_state, needs_slurm, pending_reason

PAGE = Path(__file__).parents[3] / "docs" / "design" / "engines.md"
TERMS = Terms(copies=1, time_limit_s=90.0, mem_bytes=1 << 30)


def job(state: str, *, reason: str = "", rc: int | None = None, signal: int = 0) -> SlurmJob:
    return SlurmJob(name="k.1", id="7", state=state, reason=reason, rc=rc, signal=signal)


def end_of(one: SlurmJob, written: int | None = None, *, has_claim: bool = True, terms: Terms = TERMS) -> End:
    (end,) = ends(one, [written], terms, has_claim=has_claim)
    return end


@pytest.mark.parametrize("state", sorted(KNOWN))
def test_every_state_that_is_known_stands_in_the_table_of_the_docs(state: str) -> None:
    table = PAGE.read_text().partition("## States")[2]
    assert f"`{state}`" in table or (job_state(state) is JobState.PENDING and "and the like" in table)


@pytest.mark.parametrize("state", sorted(KNOWN))
def test_a_state_and_the_end_that_it_means_are_the_same(state: str) -> None:
    rc = 1 if state in {"FAILED", "SPECIAL_EXIT"} else 0
    if is_over(state):
        assert state_of(end_of(job(state, rc=rc))) is job_state(state)
    else:
        assert job_state(state) in {JobState.PENDING, JobState.RUNNING}


@pytest.mark.parametrize("state", ["", "SOME_NEW_STATE", "COMPLETED*", "FAILED+REQUEUED", "IDLE"])
def test_a_state_that_is_not_known_is_no_end(state: str) -> None:
    assert (is_over(state), job_state(state)) == (False, JobState.RUNNING)


@pytest.mark.parametrize(
    ("one", "written", "end"),
    [
        pytest.param(job("COMPLETED"), 0, Exited(rc=0), id="the job's own code"),
        pytest.param(job("FAILED", rc=1), 7, Exited(rc=7), id="the job's own code is surer than that of all copies"),
        pytest.param(job("FAILED", rc=0, signal=11), 139, Exited(rc=139), id="killed by a signal of its own"),
        pytest.param(job("FAILED", rc=3), None, Exited(rc=3), id="Slurm's code where the job has written none"),
        pytest.param(job("FAILED", rc=0, signal=9), None, Killed(signal=9), id="a signal that Slurm tells"),
        pytest.param(job("TIMEOUT"), None, TimedOut(limit_s=90.0), id="its limit, as it was typed"),
        pytest.param(job("TIMEOUT"), 143, TimedOut(limit_s=90.0), id="the code of Slurm's signal is no end of its own"),
        pytest.param(job("TIMEOUT"), 4, Exited(rc=4), id="this copy had ended before"),
        pytest.param(job("CANCELLED"), 143, Cancelled(reason="Slurm: CANCELLED"), id="cancelled"),
        pytest.param(job("PREEMPTED"), None, Cancelled(reason="Slurm: PREEMPTED"), id="preempted"),
        pytest.param(
            job("NODE_FAIL", reason="NodeDown"), None, NodeFailed(reason="Slurm: NODE_FAIL, NodeDown"), id="node"
        ),
        pytest.param(job("OUT_OF_MEMORY"), 137, OutOfMemory(limit_bytes=1 << 30), id="memory"),
    ],
)
def test_how_a_job_ended_is_told_by_itself_and_by_slurm(one: SlurmJob, written: int | None, end: End) -> None:
    assert end_of(one, written) == end


def test_a_limit_that_slurm_has_set_is_named_as_slurms() -> None:
    assert end_of(job("TIMEOUT", reason="TimeLimit"), terms=Terms()) == Cancelled(reason="Slurm: TIMEOUT, TimeLimit")


def test_a_job_that_failed_without_having_begun_was_not_started() -> None:
    end = end_of(job("FAILED", rc=0, signal=53), has_claim=False)
    assert isinstance(end, NotStarted)
    assert re.search("folder .* file system", end.reason)


def test_each_copy_has_its_own_end() -> None:
    found = ends(job("FAILED", rc=2), [0, 2, None], Terms(copies=3), has_claim=True)
    assert found == (Exited(rc=0), Exited(rc=2), Exited(rc=2))


@pytest.mark.parametrize(
    ("written", "is_needed"), [([0], False), ([128], False), ([129], True), ([None], True), ([0, None], True)]
)
def test_slurm_is_asked_unless_every_copy_has_ended_by_itself(written: list[int | None], is_needed: bool) -> None:
    assert needs_slurm(written) is is_needed


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (job("PENDING", reason="Resources"), "Slurm: Resources"),
        (job("CONFIGURING"), "Slurm: CONFIGURING"),
        (job("PENDING"), "Slurm: not looked at yet"),
    ],
)
def test_a_pending_job_has_a_reason(one: SlurmJob, reason: str) -> None:
    assert pending_reason(one) == reason
