"""The contract of `ports.Journal` for changes of pending jobs, over both implementations."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from clbalance.model.job import JobChanges
from clbalance.model.job_record import Intent, JobState
from clbalance.ports import Journal

from .build import NOON, after, node
from .test_journal import DONE, SUBMITTED, end, journal, keyed, plan, record, record_launch

__all__ = ["journal"]

Change = Callable[[Journal, int], bool]
CHANGES: dict[str, Change] = {
    "hold": lambda journal, job: journal.hold(job, "ann"),
    "end_hold": lambda journal, job: journal.end_hold(job, after(1.0)),
    "update": lambda journal, job: journal.update(job, JobChanges(name="other")),
}
change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


def queued(journal: Journal) -> int:
    job = journal.submit(NOON, SUBMITTED, accepted=True)
    assert journal.queue(job, attempt=1, reason="0/1 nodes fit")
    return job


def test_a_held_job_is_started_by_nobody_until_it_is_released(journal: Journal) -> None:
    job = queued(journal)
    assert journal.hold(job, "ann")
    assert (record(journal, job).held, record(journal, job).reason) == ("ann", "held by ann")
    assert not journal.acquire(job, "mine", attempt=1)
    assert not journal.acquire_again(job, "mine", attempt=1, at=after(1.0), accepted=True)
    assert not record_launch(journal, job)
    assert journal.copies(job) == ()
    assert journal.end_hold(job, after(1.0))
    assert (record(journal, job).held, record(journal, job).reason) == ("", "0/1 nodes fit")
    assert journal.acquire(job, "mine", attempt=1)
    assert record_launch(journal, job, claim=record(journal, job).claim + 1)


def test_the_first_slots_of_a_held_job_are_not_started(journal: Journal) -> None:
    job = queued(journal)
    journal.hold(job, "ann")
    slot = Intent(node=node("n1"), rank=0, boot_id="b", incarnation="c")
    assert not journal.record_slot_launches(job, attempt=1, slots={1: slot}, plan=plan("n1"))
    assert journal.copies(job) == ()


def test_a_job_can_be_held_while_a_controller_has_it(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    assert journal.hold(job, "ann")
    assert not record_launch(journal, job)
    assert journal.set_pending_reason(job, "0/1 nodes fit")
    assert record(journal, job).reason == "held by ann", "whatever its controller writes"


def test_the_first_holder_counts_and_a_second_release_changes_nothing(journal: Journal) -> None:
    job = queued(journal)
    assert journal.hold(job, "ann")
    assert journal.hold(job, "root")
    assert record(journal, job).held == "ann"
    assert journal.end_hold(job, after(60.0))
    assert journal.end_hold(job, after(90.0))
    assert (record(journal, job).waits_since, record(journal, job).waited_for) == (after(60.0), "held by ann")


def test_the_reason_for_which_a_job_waited_is_known_when_it_runs(journal: Journal) -> None:
    job = queued(journal)
    assert journal.acquire(job, "looking for nodes", attempt=1)
    assert record_launch(journal, job, claim=200)
    journal.started(job, after(1.0))
    assert (record(journal, job).reason, record(journal, job).waited_for) == ("", "0/1 nodes fit")


@change
def test_a_job_that_is_being_started_is_not_changed(journal: Journal, change: Change) -> None:
    job = journal.submit(NOON, SUBMITTED)
    assert record_launch(journal, job)
    assert not change(journal, job)
    journal.started(job, after(1.0))
    assert not change(journal, job)
    assert (record(journal, job).held, record(journal, job).name) == ("", "train")


@change
def test_a_job_that_is_over_or_cancelled_is_not_changed(journal: Journal, change: Change) -> None:
    over, cancelled = (journal.submit(NOON, keyed(key)) for key in ("a", "b"))
    assert end(journal, over)
    journal.cancel(cancelled, "cancelled by ann")
    assert not change(journal, over)
    assert not change(journal, cancelled)
    assert record(journal, over).state is JobState.FAILED


def test_a_job_between_two_attempts_can_be_held(journal: Journal) -> None:
    job = queued(journal)
    assert record_launch(journal, job)
    journal.ended(job, 1, DONE)
    assert journal.queue(job, attempt=1, reason="exit code 85")
    assert journal.hold(job, "ann")


def test_a_job_that_was_cancelled_while_it_was_held_starts_again_unheld(journal: Journal) -> None:
    job = queued(journal)
    journal.hold(job, "ann")
    assert journal.cancel_unstarted(job, after(1.0), reason="cancelled", rc=125)
    assert record(journal, job).reason == "cancelled"
    assert journal.acquire_again(job, "requeued", attempt=1, at=after(2.0), accepted=True)
    assert record_launch(journal, job, claim=200)


def test_an_update_is_what_is_started(journal: Journal) -> None:
    job = queued(journal)
    assert journal.update(job, JobChanges(name="other", priority=2.5, time_limit_s=60.0))
    spec = replace(SUBMITTED.job, name="other", time_limit_s=60.0)
    assert journal.submitted(job) == replace(SUBMITTED, job=spec, priority=2.5)
    assert (record(journal, job).name, record(journal, job).priority) == ("other", 2.5)
    assert journal.update(job, JobChanges(time_limit_s=math.inf))
    assert journal.submitted(job) == replace(SUBMITTED, job=replace(spec, time_limit_s=None), priority=2.5)


def test_a_begin_time_is_the_first_reason_and_a_requeue_by_hand_ends_it(journal: Journal) -> None:
    at = after(3600.0)
    job = journal.submit(NOON, replace(SUBMITTED, begin_at_s=at.timestamp()), accepted=True)
    assert record(journal, job).begin_at == at
    assert record(journal, job).reason == f"not before {at.astimezone():%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    assert journal.queue(job, attempt=1, reason="not yet")
    assert journal.acquire_again(job, "requeued", attempt=1, at=after(1.0), accepted=True)
    assert record(journal, job).begin_at is None
