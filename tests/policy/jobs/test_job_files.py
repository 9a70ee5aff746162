"""Names of the files that travel with a job, and when its results are due and kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clbalance.model import NodeName
from clbalance.model.job_files import KEPT_S, JobFiles, ReturnRecord, ReturnState, SentPath
from clbalance.model.job_record import (
    Cancelled,
    CopyRecord,
    End,
    Exited,
    Intent,
    JobRecord,
    JobState,
    NotStarted,
    Outcome,
)
from clbalance.policy.jobs.job_files import (
    arrival,
    changes,
    clash,
    has_results,
    is_due,
    is_kept,
    outermost,
    unusable_pattern,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RESULT = ReturnRecord(job=1, claim=1, rank=0, node=NodeName("n1"), folder="/var/tmp/x")
RECORD = JobRecord(
    id=1, key="k", name="j", state=JobState.COMPLETED, reason="", rc=0, attempt=1, claim=1, nodes=(), submitted_at=NOON,
    started_at=NOON, ended_at=NOON, has_controller=False,
)  # fmt: skip


def copy(*, ended: bool, end: End = Exited(rc=0), seconds: float = 1.0) -> CopyRecord:  # noqa: B008 - it is frozen
    outcome = Outcome(node=NodeName("n1"), rank=0, end=end, seconds=seconds) if ended else None
    intent = Intent(node=NodeName("n1"), rank=0, boot_id="b", incarnation="i")
    return CopyRecord(attempt=1, claim=1, intent=intent, outcome=outcome)


def sent(base: str, name: str, size: int = 0) -> SentPath:
    return SentPath(base=base, name=name, files=1, size_bytes=size, newest_ns=0)


ARRIVALS = {
    "a name below the folder stays": ("data/x.csv", "/home/ann", "data/x.csv"),
    "its spelling does not matter": ("./data//x.csv/", "/home/ann", "data/x.csv"),
    "an absolute one loses its folders": ("/srv/data/x.csv", "/srv/data", "x.csv"),
    "and so does one from above": ("../bob/x.csv", "/home/bob", "x.csv"),
    "a dot says where the name begins": ("/srv/./data/x.csv", "/srv", "data/x.csv"),
    "also in a relative one": ("sub/./x", "/home/ann/sub", "x"),
    "the last dot counts": ("/a/./b/./c", "/a/./b", "c"),
}


@pytest.mark.parametrize(("typed", "base", "name"), ARRIVALS.values(), ids=ARRIVALS)
def test_the_name_on_the_node(typed: str, base: str, name: str) -> None:
    assert arrival(typed, "/home/ann") == (base, name)


@pytest.mark.parametrize("typed", [".", "/", "", "./", "/srv/./", "/srv/./../x", "a\0b"])
def test_a_name_that_names_nothing_on_the_node_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="it "):
        arrival(typed, "/home/ann")


def test_two_files_meet_on_the_node_if_their_first_parts_come_from_two_places_or_they_are_the_same() -> None:
    assert clash([sent("/a", "d/x"), sent("/a", "d/y"), sent("/b", "e")]) is None
    assert clash([sent("/a", "d/x"), sent("/b", "d/y")]) == (sent("/a", "d/x"), sent("/b", "d/y"))
    assert clash([sent("/a", "d"), sent("/a", "d")]) == (sent("/a", "d"), sent("/a", "d"))


@pytest.mark.parametrize("pattern", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a\0", "x" * 5000])
def test_a_pattern_that_leaves_the_work_folder_is_refused(pattern: str) -> None:
    assert unusable_pattern(pattern)


@pytest.mark.parametrize("pattern", ["*", "out/*.csv", "a[0-9]/b?", "..x", ".hidden", "a/"])
def test_a_pattern_below_the_work_folder_is_taken(pattern: str) -> None:
    assert unusable_pattern(pattern) is None


def test_a_change_since_the_submission_is_noticed() -> None:
    files = JobFiles(sent=(sent("/a", "x", 1), sent("/a", "y", 1)))
    assert changes(files.sent, [sent("/a", "x", 1), sent("/a", "y", 2)]) == ("y",)


def test_a_match_inside_a_matched_folder_comes_once() -> None:
    assert outermost(["out/a", "out", "out-b", "out/a/c", "z"]) == ("out", "out-b", "z")


def test_results_are_due_when_the_job_is_over_and_nobody_controls_it() -> None:
    assert is_due(RESULT, RECORD, [copy(ended=True)])
    assert not is_due(RESULT, RECORD, [copy(ended=False)])
    assert not is_due(RESULT, RECORD, [])


@pytest.mark.parametrize(
    ("state", "has_controller"), [(JobState.RUNNING, False), (JobState.COMPLETED, True)], ids=["running", "controlled"]
)
def test_results_are_not_due_before(state: JobState, has_controller: bool) -> None:
    assert not is_due(RESULT, replace(RECORD, state=state, has_controller=has_controller), [copy(ended=True)])


def test_a_copy_that_never_started_has_no_results() -> None:
    assert has_results(copy(ended=True))
    assert has_results(copy(ended=True, end=Cancelled(reason="")))
    assert not has_results(copy(ended=True, end=Cancelled(reason=""), seconds=0.0))
    assert not has_results(copy(ended=True, end=NotStarted(reason="no room")))
    assert not has_results(copy(ended=False))


def test_results_are_kept_for_a_time_and_no_longer() -> None:
    end = NOON + timedelta(seconds=KEPT_S)
    assert is_kept(RESULT, RECORD, end - timedelta(seconds=1))
    assert not is_kept(RESULT, RECORD, end)
    assert not is_kept(replace(RESULT, state=ReturnState.COMPLETE), RECORD, NOON)
