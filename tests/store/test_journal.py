"""The contract of `ports.Journal`, over both implementations."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from clbalance.model import Cause, Plan, Qos, Request, Snapshot, Unfit
from clbalance.model.job import Command, JobSpec, RestartPolicy, Script, Submitted, TaskRules
from clbalance.model.job_files import JobFiles, ReturnState, SentPath
from clbalance.model.job_record import (
    Cancelled,
    Exited,
    Intent,
    JobRecord,
    JobState,
    Lost,
    MigrationRequest,
    MigrationStage,
    NotStarted,
    Outcome,
)
from clbalance.model.task import Task, TaskGiven
from clbalance.policy.jobs.record import is_queued
from clbalance.ports import Journal
from clbalance.store.in_memory_journal import InMemoryJournal
from clbalance.store.state import SqliteStore

from .build import NOON, after, asked, node

SPEC = JobSpec(
    id=0,
    key="ab" * 16,
    name="train",
    payload=Command(argv=("a", "b\0c\udcff")),
    chdir="/",
    chdir_explicit=False,
    umask=0o22,
)
SUBMITTED = Submitted(
    job=SPEC,
    request=Request(pick=1),
    candidates=(node("n1"),),
    restart_policy=RestartPolicy(requeue_exits=frozenset({85}), after=(3,)),
    notify="mail",
)
DONE = Outcome(node=node("n1"), rank=0, end=Exited(rc=3), seconds=1.5)


@pytest.fixture(params=["sqlite", "forgetful"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    if request.param == "forgetful":
        yield InMemoryJournal()
        return
    with SqliteStore.open(tmp_path) as store, closing(store.journal()) as opened:
        yield opened


def again(journal: Journal, job: int, reason: str, *, accepted: bool = False) -> bool:
    """A requeue by hand."""
    return journal.acquire_again(job, reason, attempt=1, at=after(9.0), accepted=accepted)


def keyed(key: str) -> Submitted:
    return replace(SUBMITTED, job=replace(SPEC, key=key * 32))


def plan(*chosen: str) -> Plan:
    unfit = () if chosen else (Unfit(node=node("n1"), filter="load", reason="load above 1.00"),)
    charged = Snapshot(taken_at=NOON, answers=())
    return Plan(wanted=1, chosen=tuple(map(node, chosen)), ranked=(), unfit=unfit, charged=charged)


def record_launch(journal: Journal, job: int, attempt: int = 1, claim: int = 1) -> bool:
    intents = [Intent(node=node("n1"), rank=0, boot_id="b", incarnation="c")]
    return journal.record_launch(job, attempt=attempt, claim=claim, intents=intents, plan=plan("n1"))


def record(journal: Journal, job: int) -> JobRecord:
    found = journal.record(job)
    assert found is not None
    return found


def end(journal: Journal, job: int, state: JobState = JobState.FAILED, reason: str = "", *, attempt: int = 1) -> bool:
    return journal.finish(job, after(9.0), attempt=attempt, state=state, reason=reason, rc=3)


def test_a_job_goes_through_its_states(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    assert (record(journal, job).state, record(journal, job).reason) == (JobState.PENDING, "looking for nodes")
    assert journal.set_pending_reason(job, "0/1 nodes fit")
    assert record(journal, job).reason == "0/1 nodes fit"
    assert record_launch(journal, job)
    assert (record(journal, job).state, record(journal, job).nodes) == (JobState.PENDING, ("n1",))
    journal.started(job, after(1.0))
    journal.started(job, after(2.0))
    assert record(journal, job).started_at == after(1.0)
    journal.correct_start(job, after(0.5))
    assert record(journal, job).started_at == after(0.5)
    assert (record(journal, job).state, record(journal, job).reason) == (JobState.RUNNING, "")
    journal.ended(job, 1, DONE)
    end(journal, job)
    message = record(journal, job)
    assert (message.state, message.rc, message.ended_at, message.has_controller) == (
        JobState.FAILED,
        3,
        after(9.0),
        False,
    )
    assert journal.submitted(job) == SUBMITTED
    journal.correct_start(job, after(0.0))
    assert record(journal, job).started_at == after(0.5)


def test_no_job_number_is_given_twice(journal: Journal) -> None:
    numbers = [journal.submit(NOON, asked(f"key{number}")) for number in range(20)]
    assert len(set(numbers)) == 20
    assert min(numbers) > 0


@pytest.mark.parametrize(
    "name", ["", "two words", "a'; DROP TABLE job; --", "new\nline", "nul\0", "\udcff.sh", "[red]", "x" * 10_000, "猫"]
)
def test_any_file_name_may_name_a_job(journal: Journal, name: str) -> None:
    assert journal.submit(NOON, asked("key", name)) > 0


def test_the_first_end_counts(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    record_launch(journal, job)
    journal.ended(job, 1, DONE)
    journal.ended(job, 1, Outcome(node=node("n1"), rank=0, end=Cancelled(reason=""), seconds=0.0))
    assert [copy.outcome for copy in journal.copies(job)] == [DONE]
    end(journal, job)
    end(journal, job, JobState.COMPLETED)
    assert record(journal, job).state is JobState.FAILED


def test_silence_is_no_end(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    record_launch(journal, job)
    journal.ended(job, 1, Outcome(node=node("n1"), rank=0, end=Lost(cause=Cause.HUNG, reason=""), seconds=0.0))
    assert [copy.outcome for copy in journal.copies(job)] == [None]


def test_a_cancelled_job_is_started_no_more_and_says_why(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    journal.cancel(job, "cancelled by u")
    assert record(journal, job).cancel_requested == "cancelled by u"
    assert not journal.set_pending_reason(job, "x")
    assert not record_launch(journal, job)
    assert journal.copies(job) == ()
    end(journal, job, JobState.CANCELLED, "cancelled")
    assert record(journal, job).reason == "cancelled by u"


def test_a_cancel_is_asked_for_until_the_job_is_over_or_taken_again(journal: Journal) -> None:
    job, other = journal.submit(NOON, SUBMITTED), journal.submit(NOON, keyed("b"))
    assert record_launch(journal, job)
    journal.started(job, after(1.0))
    assert record(journal, job).cancel_requested == ""
    journal.cancel(job, "cancelled by u")
    assert record(journal, job).cancel_requested == "cancelled by u"
    assert journal.cancel_requests() == (), "its controller sees to it"
    journal.release(job)
    assert [one.id for one in journal.cancel_requests()] == [job]
    journal.ended(job, 1, replace(DONE, end=Cancelled(reason="cancelled by u")))
    end(journal, job, JobState.CANCELLED)
    assert journal.cancel_requests() == ()
    assert again(journal, job, "requeued by u")
    journal.release(job)
    journal.release(other)
    assert record(journal, job).cancel_requested == ""
    assert journal.cancel_requests() == ()


def test_what_is_over_is_not_cancelled(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    end(journal, job, reason="r")
    journal.cancel(job, "cancelled by u")
    assert record(journal, job).cancel_requested == ""
    assert record(journal, job).reason == "r"


def test_a_job_that_is_taken_again_waits_and_is_counted_from_its_next_start(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    record_launch(journal, job)
    journal.started(job, after(1.0))
    journal.cancel(job, "cancelled by u")
    end(journal, job, JobState.CANCELLED)
    assert again(journal, job, "requeued by u")
    message = record(journal, job)
    assert (message.state, message.reason, message.rc, message.has_controller) == (
        JobState.PENDING,
        "requeued by u",
        None,
        True,
    )
    assert message.claim > 1, "those in between may have been made and never written down"
    assert record_launch(journal, job, attempt=2, claim=message.claim + 1)
    journal.started(job, after(5.0))
    assert record(journal, job).started_at == after(5.0)
    assert not journal.acquire(99, "x", attempt=1)


def test_only_one_of_two_who_saw_it_over_takes_it(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    record_launch(journal, job)
    end(journal, job)
    assert again(journal, job, "first")
    assert not again(journal, job, "second")
    assert record_launch(journal, job, attempt=2, claim=200)
    journal.release(job)
    assert not again(journal, job, "second")
    assert end(journal, job, attempt=2)
    assert not again(journal, job, "second")


def test_what_was_found_out_of_an_attempt_before_comes_too_late(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    record_launch(journal, job)
    end(journal, job)
    again(journal, job, "again")
    record_launch(journal, job, attempt=2, claim=200)
    journal.release(job)
    assert not end(journal, job, JobState.COMPLETED)
    assert not record(journal, job).state.is_over
    assert end(journal, job, JobState.COMPLETED, attempt=2)


def test_a_job_of_which_a_copy_may_have_been_started_is_not_withdrawn_but_let_go(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    record_launch(journal, job)
    assert not journal.cancel_unstarted(job, after(1.0), reason="stopped", rc=125)
    assert (record(journal, job).state.is_over, record(journal, job).has_controller) == (False, False)


def test_a_job_that_was_not_started_is_withdrawn_also_after_an_attempt(journal: Journal) -> None:
    fresh, old = journal.submit(NOON, SUBMITTED), journal.submit(NOON, keyed("b"))
    record_launch(journal, old)
    journal.ended(old, 1, DONE)
    for job in (fresh, old):
        assert journal.cancel_unstarted(job, after(1.0), reason="stopped", rc=125)
        message = record(journal, job)
        assert (message.state, message.reason, message.rc) == (JobState.CANCELLED, "stopped", 125)


def test_only_the_last_thought_of_an_attempt_is_explained(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    for claim in (1, 1, 2):
        journal.record_unplaced(job, attempt=1, claim=claim, plan=plan())
    (one,) = journal.placed(job)
    assert [unfit.reason for unfit in one.plan.unfit] == ["load above 1.00"]
    record_launch(journal, job, claim=3)
    journal.record_unplaced(job, attempt=2, claim=4, plan=plan())
    assert [(one.attempt, one.plan.chosen) for one in journal.placed(job)] == [(1, ("n1",)), (2, ())]


def test_jobs_are_told_oldest_first_and_those_that_are_over_only_if_asked_for(journal: Journal) -> None:
    first, second, third = (journal.submit(NOON, keyed(key)) for key in ("1", "2", "3"))
    end(journal, second)
    assert [one.id for one in journal.records()] == [first, third]
    assert [one.id for one in journal.records(over=True)] == [first, second, third]
    assert [one.id for one in journal.records(over=True, newest=2)] == [second, third]
    assert journal.record(99) is None
    assert journal.submitted(99) is None


def test_who_has_let_go_of_a_job_has_it_in_hand_no_more(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    assert record(journal, job).has_controller
    journal.release(job)
    assert not record(journal, job).has_controller


# -- jobs of tasks ---------------------------------------------------------------------------------

TASKS = (Task(number=2, words=("echo 'a'", "\udcff\n")), Task(number=9))
OF_TASKS = replace(SUBMITTED, rules=TaskRules(at_once=20, max_fail=2.5, max_fail_is_pct=True))


def slots(*claims: int, on: str = "n1") -> dict[int, Intent]:
    return {claim: Intent(node=node(on), rank=0, boot_id="b", incarnation="c") for claim in claims}


def test_tasks_and_their_rules_come_back_as_they_were(journal: Journal) -> None:
    job = journal.submit(NOON, OF_TASKS, TASKS)
    assert journal.tasks(job) == TASKS
    assert journal.submitted(job) == OF_TASKS
    assert journal.tasks(99) == ()
    assert journal.tasks(journal.submit(NOON, keyed("1"))) == ()


@pytest.mark.parametrize("content", [b"#!/bin/sh\nexit 3\n", b"", bytes(range(256)) * 4096])
def test_a_script_is_read_by_who_starts_it_and_by_nobody_else(journal: Journal, content: bytes) -> None:
    work = Script(name="train.sh", content=content, args=("--fast",))
    job = journal.submit(NOON, replace(SUBMITTED, job=replace(SPEC, payload=work)))
    assert journal.submitted(job) == replace(SUBMITTED, job=replace(SPEC, payload=replace(work, content=None)))
    assert journal.script(job) == content


def test_what_is_no_script_has_none(journal: Journal) -> None:
    assert journal.script(journal.submit(NOON, SUBMITTED)) is None
    assert journal.script(99) is None


def test_slots_are_added_to_an_attempt_as_they_come(journal: Journal) -> None:
    job = journal.submit(NOON, OF_TASKS, TASKS)
    assert journal.record_slot_launches(job, attempt=1, slots=slots(2, 5), plan=plan("n1"))
    assert (record(journal, job).nodes, record(journal, job).reason) == (("n1",), "being started")
    journal.started(job, after(1.0))
    assert journal.record_slot_launches(job, attempt=1, slots=slots(3, on="n2"), plan=None)
    message = record(journal, job)
    assert (message.nodes, message.state, message.started_at) == (("n1", "n2"), JobState.RUNNING, after(1.0))
    assert message.claim == 5, "the highest: none is made again"
    assert [(copy.claim, copy.intent.node) for copy in journal.copies(job)] == [(2, "n1"), (3, "n2"), (5, "n1")]
    assert [one.plan.chosen for one in journal.placed(job)] == [("n1",)]


def test_a_later_attempt_has_nodes_of_its_own(journal: Journal) -> None:
    job = journal.submit(NOON, OF_TASKS, TASKS)
    journal.record_slot_launches(job, attempt=1, slots=slots(1), plan=plan("n1"))
    assert journal.record_slot_launches(job, attempt=2, slots=slots(102, on="n2"), plan=plan("n2"))
    assert (record(journal, job).nodes, record(journal, job).attempt) == (("n2",), 2)


def test_no_slot_is_added_to_a_job_that_was_cancelled_or_is_over(journal: Journal) -> None:
    cancelled, over = journal.submit(NOON, OF_TASKS, TASKS), journal.submit(NOON, keyed("1"))
    journal.cancel(cancelled, "cancelled by u")
    end(journal, over)
    for job in (cancelled, over):
        assert not journal.record_slot_launches(job, attempt=1, slots=slots(1), plan=plan("n1"))
        assert journal.copies(job) == ()


def test_the_logs_of_two_jobs_are_two(journal: Journal) -> None:
    first, second = journal.submit(NOON, OF_TASKS, TASKS), journal.submit(NOON, keyed("1"))
    event = TaskGiven(number=2, node=node("n1"), claim=1)
    journal.task_log(first).add([event], durable=True)
    assert journal.task_log(first).events() == (event,)
    assert journal.task_log(second).events() == ()


def test_a_journal_closes_the_logs_that_it_has_opened(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store, closing(store.journal()) as journal:
        for number in range(3):
            job = journal.submit(NOON, keyed(str(number)), TASKS)
            journal.task_log(job).add([TaskGiven(number=2, node=node("n1"), claim=1)], durable=True)
        assert open_logs(tmp_path) == 3
    assert open_logs(tmp_path) == 0


def open_logs(folder: Path) -> int:
    """How many files of the folder of task logs this process has open."""
    found = [os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()]
    return sum(Path(folder, "tasks") in Path(one).parents for one in found)


def test_how_limits_are_kept_is_remembered_of_each_copy(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    intents = [
        Intent(node=node(name), rank=rank, boot_id="b", incarnation="c") for rank, name in enumerate(("n1", "n2"))
    ]
    plan = Plan(wanted=2, chosen=(), ranked=(), unfit=(), charged=Snapshot(taken_at=NOON, answers=()))
    journal.record_launch(job, attempt=1, claim=1, intents=intents, plan=plan)
    journal.limited(job, 1, node("n2"), ("bound to cpus 0-1", "memory limit 1 GiB \udcff"))
    journal.limited(job, 7, node("n1"), ("of no copy",))
    assert [copy.limits for copy in journal.copies(job)] == [(), ("bound to cpus 0-1", "memory limit 1 GiB \udcff")]


def test_a_job_is_remembered_with_its_quality_of_service(journal: Journal) -> None:
    limited = Request(cpus=2, mem_bytes=4, limit_cpus=2, limit_mem_bytes=4)
    jobs = [journal.submit(NOON, keyed("cd" * 16)), journal.submit(NOON, replace(keyed("ef" * 16), request=limited))]
    parts = [record.qos for record in map(journal.record, jobs) if record is not None]
    assert parts == [Qos.BURSTABLE, Qos.GUARANTEED]


ORDER = MigrationRequest(attempt=1, dst=node("n2"), reason="level")


def running(journal: Journal) -> int:
    job = journal.submit(NOON, SUBMITTED)
    assert record_launch(journal, job)
    journal.started(job, after(1.0))
    return job


def test_a_queued_job_waits_in_nobodys_hands_and_can_be_taken_from_there_once(journal: Journal) -> None:
    job = journal.submit(NOON, replace(SUBMITTED, priority=3.0))
    assert journal.queue(job, attempt=1, reason="0/1 nodes fit")
    seen = record(journal, job)
    assert (seen.state, seen.queued, seen.has_controller, seen.priority) == (JobState.PENDING, True, False, 3.0)
    assert seen.reason == "0/1 nodes fit"
    assert not journal.acquire(job, "again", attempt=2)
    assert journal.acquire(job, "started by rebalance", attempt=1)
    assert record(journal, job).has_controller
    assert not journal.acquire(job, "by somebody else", attempt=1)
    assert record(journal, job).claim == 100


def test_a_job_that_ended_elsewhere_than_seen_is_not_queued(journal: Journal) -> None:
    job = running(journal)
    assert not journal.queue(job, attempt=2, reason="node failure")
    journal.cancel(job, "by alice")
    assert not journal.queue(job, attempt=1, reason="node failure")
    assert end(journal, job)
    assert not journal.queue(job, attempt=1, reason="node failure")


def test_a_queued_job_that_is_cancelled_is_not_taken(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    assert journal.queue(job, attempt=1, reason="waits")
    journal.cancel(job, "by alice")
    assert not journal.acquire(job, "started", attempt=1)
    assert journal.cancel_unstarted(job, after(2.0), reason="gone", rc=125)
    assert record(journal, job).state is JobState.CANCELLED


def test_only_a_running_job_that_nobody_has_in_hand_is_adopted(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    assert not journal.adopt(job, attempt=1)
    assert record_launch(journal, job)
    journal.started(job, after(1.0))
    journal.release(job)
    assert not journal.adopt(job, attempt=2)
    assert journal.adopt(job, attempt=1)
    assert record(journal, job).has_controller


def test_a_move_is_asked_meant_and_forgotten_with_the_next_attempt(journal: Journal) -> None:
    job = running(journal)
    assert journal.migration_request_of(job) is None
    assert journal.request_migration(job, ORDER)
    assert not journal.request_migration(job, replace(ORDER, dst=node("n3")))
    assert journal.migration_request_of(job) == ORDER
    assert journal.commit_migration(job, ORDER)
    assert journal.migration_request_of(job) == replace(ORDER, stage=MigrationStage.COMMITTED)
    assert not journal.abort_migration(job, attempt=1, reason="late", unless_committed=True)
    assert record_launch(journal, job, attempt=2, claim=2)
    assert journal.migration_request_of(job) is None


def test_a_move_that_is_called_off_says_why_and_can_be_asked_again(journal: Journal) -> None:
    job = running(journal)
    assert not journal.abort_migration(job, attempt=1, reason="nothing was asked")
    assert journal.request_migration(job, ORDER)
    assert journal.abort_migration(job, attempt=1, reason="n2: no room", unless_committed=True)
    assert journal.migration_request_of(job) == replace(ORDER, stage=MigrationStage.ABORTED, abort_reason="n2: no room")
    assert journal.request_migration(job, ORDER)


def test_what_a_queued_job_was_stopped_for_is_known_until_it_is_started(journal: Journal) -> None:
    """Else whoever looks next takes the end of the attempt for the end of the job."""
    job = running(journal)
    assert journal.commit_migration(job, ORDER)
    journal.ended(job, 1, replace(DONE, end=Cancelled(reason="moved to n2: level")))
    assert journal.queue(job, attempt=1, reason="its move was cut short")
    assert journal.migration_request_of(job) == replace(ORDER, stage=MigrationStage.COMMITTED)
    assert journal.acquire(job, "looking for nodes", attempt=1)
    assert record_launch(journal, job, attempt=2, claim=101)
    assert journal.migration_request_of(job) is None


def test_nothing_is_moved_that_was_cancelled_or_is_over(journal: Journal) -> None:
    job = running(journal)
    assert not journal.request_migration(job, replace(ORDER, attempt=2))
    journal.cancel(job, "by alice")
    assert not journal.request_migration(job, ORDER)
    assert not journal.commit_migration(job, ORDER)
    assert end(journal, job)
    assert not journal.commit_migration(job, ORDER)


def test_a_job_whose_copy_may_still_run_is_neither_queued_nor_taken_from_the_queue(journal: Journal) -> None:
    """Else two who start what waits would start it twice."""
    job = journal.submit(NOON, SUBMITTED)
    assert journal.queue(job, attempt=1, reason="0/1 nodes fit")
    assert journal.acquire(job, "started", attempt=1)
    assert record_launch(journal, job)
    journal.release(job)
    assert not journal.acquire(job, "started by somebody else", attempt=1)
    assert not journal.queue(job, attempt=1, reason="again")
    journal.ended(job, 1, replace(DONE, end=NotStarted(reason="void")))
    assert journal.queue(job, attempt=1, reason="it never started")
    assert journal.acquire(job, "started", attempt=1)


def test_a_queued_job_that_was_cancelled_is_not_started_but_withdrawn(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    journal.queue(job, attempt=1, reason="0/1 nodes fit")
    journal.cancel(job, "cancelled by u")
    assert not journal.acquire(job, "started", attempt=1)
    assert journal.cancel_unstarted(job, after(1.0), reason="", rc=125)
    message = record(journal, job)
    assert (message.state, message.reason, message.queued) == (JobState.CANCELLED, "cancelled by u", False)


def test_who_starts_a_queued_job_and_gives_up_puts_it_back(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED)
    journal.queue(job, attempt=1, reason="0/1 nodes fit")
    journal.acquire(job, "looking for nodes", attempt=1)
    assert journal.queue(job, attempt=1, reason="0/2 nodes fit")
    message = record(journal, job)
    assert (message.state, message.queued, message.has_controller, message.reason) == (
        JobState.PENDING,
        True,
        False,
        "0/2 nodes fit",
    )


def test_nobody_lets_go_what_another_has_in_hand(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store, closing(store.journal()) as mine, closing(store.journal()) as others:
        job = mine.submit(NOON, SUBMITTED)
        others.release(job)
        assert record(mine, job).has_controller
        mine.release(job)
        assert not record(mine, job).has_controller


# -- a job with a number is never dropped


def test_an_accepted_job_is_queued_once_its_controller_has_gone(journal: Journal) -> None:
    told, accepted_later = journal.submit(NOON, SUBMITTED, accepted=True), journal.submit(NOON, keyed("c"))
    assert not is_queued(record(journal, told))
    journal.accept(accepted_later)
    for job in (told, accepted_later):
        journal.release(job)
        assert is_queued(record(journal, job))
    never = journal.submit(NOON, keyed("d"))
    journal.release(never)
    assert not is_queued(record(journal, never))


def test_a_job_that_is_over_is_not_taken_for_a_queued_one(journal: Journal) -> None:
    """Else a job that was cancelled after it was chosen would be started all the same."""
    job = journal.submit(NOON, SUBMITTED, accepted=True)
    journal.cancel(job, "by alice")
    assert journal.cancel_unstarted(job, after(1.0), reason="gone", rc=125)
    assert not journal.acquire(job, "started", attempt=1)
    assert again(journal, job, "requeued by u", accepted=True)
    journal.release(job)
    assert is_queued(record(journal, job))


def test_since_when_a_job_waits_is_known_until_it_has_started(journal: Journal) -> None:
    job = journal.submit(NOON, SUBMITTED, accepted=True)
    journal.queue(job, attempt=1, reason="0/1 nodes fit")
    assert record(journal, job).waits_since == NOON
    assert journal.acquire(job, "started", attempt=1)
    assert record_launch(journal, job)
    assert record(journal, job).waits_since == NOON, "it may not come to run"
    journal.started(job, after(1.0))
    assert record(journal, job).waits_since is None
    assert end(journal, job)
    assert again(journal, job, "requeued by u")
    assert record(journal, job).waits_since == after(9.0)


def test_a_lock_that_is_handed_over_keeps_the_job_in_hand(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store:
        with closing(store.journal()) as giver:
            job = giver.submit(NOON, SUBMITTED, accepted=True)
            lock = giver.hand_over()
        with closing(store.journal()) as others:
            assert record(others, job).has_controller
            with closing(store.journal(lock)) as taker:
                assert taker.queue(job, attempt=1, reason="0/1 nodes fit"), "it is its own"
                assert others.acquire(job, "started", attempt=1)


def test_a_job_whose_lock_nobody_took_is_queued(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store, closing(store.journal()) as giver, closing(store.journal()) as others:
        job = giver.submit(NOON, SUBMITTED, accepted=True)
        os.close(giver.hand_over().fd)
        assert is_queued(record(others, job))


def test_a_refused_call_is_known_until_a_job_is_submitted(tmp_path: Path) -> None:
    with SqliteStore.open(tmp_path) as store, closing(store.journal()) as journal:
        assert journal.last_refusal() is None
        journal.submit(NOON, SUBMITTED)
        journal.keep_refusal(plan())
        refused = journal.last_refusal()
        assert refused is not None
        assert [one.reason for one in refused.unfit] == ["load above 1.00"]
        assert journal.submit(NOON, keyed("c")) == 2
        assert journal.last_refusal() is None


def test_a_copy_of_standard_input_is_kept_with_its_job(journal: Journal) -> None:
    content = bytes(range(256)) * 4096
    kept = journal.submit(NOON, SUBMITTED, stdin=content)
    assert journal.stdin(kept) == content
    assert journal.stdin(journal.submit(NOON, keyed("b"))) is None
    assert journal.stdin(99) is None


def test_results_of_each_copy_are_awaited_until_they_came_or_the_job_starts_again(journal: Journal) -> None:
    plain = journal.submit(NOON, SUBMITTED)
    record_launch(journal, plain)
    files = JobFiles(returned=("out/*",), into="/home/ann")
    job = journal.submit(NOON, replace(keyed("cd"), job=replace(SPEC, key="cd" * 16, files=files)))
    assert journal.returns().all() == (), "nothing was launched"
    intents = [
        Intent(node=node(f"n{rank + 1}"), rank=rank, boot_id="b", incarnation="c", folder=f"/var/tmp/{rank}")
        for rank in range(2)
    ]
    assert journal.record_launch(job, attempt=1, claim=1, intents=intents, plan=plan("n1", "n2"))
    first, second = journal.returns().all(pending=True)
    assert (first.job, first.claim, first.rank, first.node, first.folder) == (job, 1, 0, "n1", "/var/tmp/0")
    came = replace(first, state=ReturnState.COMPLETE, reason="a link was left out", files=2, size_bytes=7)
    journal.returns().put(came)
    assert journal.returns().all(pending=True) == (second,)
    assert journal.record_launch(job, attempt=2, claim=2, intents=intents[:1], plan=plan("n1"))
    assert [(one.claim, one.state) for one in journal.returns().of(job)] == [
        (1, ReturnState.COMPLETE),
        (1, ReturnState.LOST),
        (2, ReturnState.PENDING),
    ]
    found = journal.submitted(job)
    assert found is not None
    assert found.job.files == files
    with journal.returns().lock(job) as is_ours:
        assert is_ours


def test_results_of_slots_are_awaited_until_they_came_whatever_slots_follow(journal: Journal) -> None:
    files = JobFiles(sent_to_tasks=(SentPath(base="/home/ann", name="in-%t", files=2, size_bytes=7, newest_ns=1),))
    of_tasks = replace(OF_TASKS, job=replace(OF_TASKS.job, files=files, slots=True))
    job = journal.submit(NOON, of_tasks, TASKS)
    journal.record_slot_launches(job, attempt=1, slots=slots(2, 5), plan=plan("n1"))
    journal.record_slot_launches(job, attempt=2, slots=slots(7), plan=plan("n1"))
    awaited = [(one.claim, one.state) for one in journal.returns().of(job)]
    assert awaited == [(claim, ReturnState.PENDING) for claim in (2, 5, 7)]
    found = journal.submitted(job)
    assert found is not None
    assert found.job.files == files


def test_the_nodes_that_a_batch_system_chooses_replace_its_name(journal: Journal) -> None:
    number = journal.submit(NOON, replace(SUBMITTED, engine="slurm"))
    intent = Intent(node=node("slurm"), rank=0, boot_id="", incarnation="")
    journal.record_launch(number, attempt=1, claim=1, intents=[intent], plan=plan("slurm"))
    journal.located(number, 1, engine_id="77", nodes=())
    assert [(copy.intent.node, copy.engine_id) for copy in journal.copies(number)] == [("slurm", "77")]
    for _ in range(2):
        journal.located(number, 1, engine_id="77", nodes=(node("n1"), node("n2")))
    copies = journal.copies(number)
    assert [(copy.intent.rank, copy.intent.node, copy.engine_id) for copy in copies] == [
        (0, "n1", "77"),
        (1, "n2", "77"),
    ]
    record = journal.record(number)
    assert record is not None
    assert (record.engine, record.nodes) == ("slurm", ("n1", "n2"))
