"""A job from the queue: taken by one, started once, and where that fails it waits on."""

import base64
import random
from collections.abc import Collection
from dataclasses import replace

from clbalance.engine.jobs.submitted import await_ends, cancel, refresh
from clbalance.engine.run.start_queued import JobStarted, NotAcquired, QueuedStart, StillQueued, start_queued
from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import ClbalanceError, StoreError
from clbalance.model import Cause, NodeName, Request
from clbalance.model.job import RestartPolicy, Submitted
from clbalance.model.job_record import Exited, JobRecord, JobState, Lost, MigrationRequest, NodeFailed, Outcome
from clbalance.policy.placement.policies import LEAST
from clbalance.store.in_memory_journal import InMemoryJournal
from tests.engine.services import EPOCH, ScriptedAgent, job, probed, world_of
from tests.scripted import HangUp

from .test_run import Input, refusing

QUEUE = RestartPolicy(queue=True)


def waiting(services: Services, restart_policy: RestartPolicy = QUEUE, key: str = "ab") -> JobRecord:
    """A job that was accepted when nothing fitted."""
    asked = Submitted(
        job=job(key=key * 16),
        request=Request(needs_python=True),
        candidates=nodes(services),
        restart_policy=restart_policy,
    )
    number = services.journal.submit(EPOCH, asked)
    assert services.journal.queue(number, attempt=1, reason="0/1 nodes fit")
    return now(services, number)


def nodes(services: Services) -> tuple[NodeName, ...]:
    return tuple(sorted(services.transport.nodes))  # type: ignore[attr-defined]  # it is a scripted one


def now(services: Services, number: int) -> JobRecord:
    record = services.journal.record(number)
    assert record is not None
    return record


def start(services: Services, record: JobRecord) -> QueuedStart:
    submitted = services.journal.submitted(record.id)
    assert submitted is not None
    query = PlacementQuery(
        candidates=submitted.candidates, request=submitted.request, policy=LEAST, rng=random.Random(0)
    )
    return start_queued(services, query, record, submitted, Input())


def test_it_is_started_and_let_go() -> None:
    agent = ScriptedAgent()
    services = world_of({"a": probed(after=agent)})
    record = waiting(services)
    assert isinstance(start(services, record), JobStarted)
    message = now(services, record.id)
    assert (message.state, message.attempt, message.has_controller, message.nodes) == (
        JobState.RUNNING,
        1,
        False,
        ("a",),
    )
    (ordered,) = [request for request in agent.heard if request["op"] == "start"]
    assert ordered["spec"]["env"]["CLBALANCE_RESTART_COUNT"] == "0"  # type: ignore[index]  # JSON


def test_its_node_is_sent_the_script_that_was_submitted() -> None:
    """Who looked at it until then has not read it."""
    agent = ScriptedAgent()
    services = world_of({"a": probed(after=agent)})
    start(services, waiting(services))
    sent = [request["data"] for request in agent.heard if request["op"] == "put" and request["file"] == "script"]
    assert sent == [base64.b64encode(b"#!/bin/sh\ntrue\n").decode()]


def test_who_comes_second_starts_nothing() -> None:
    services = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(services)
    start(services, record)
    assert isinstance(start(services, record), NotAcquired)


def test_where_nothing_fits_it_waits_on_and_is_told_why() -> None:
    services = world_of({"a": probed(load=9.0, after=ScriptedAgent())})
    record = waiting(services)
    assert start(services, record) == StillQueued(reason="0/1 nodes fit: 1 load above 1.00")
    message = now(services, record.id)
    assert (message.state, message.queued, message.has_controller) == (JobState.PENDING, True, False)
    assert message.reason == "0/1 nodes fit: 1 load above 1.00"
    services.transport.nodes[NodeName("a")] = probed(after=ScriptedAgent())  # type: ignore[attr-defined]
    assert isinstance(start(services, message), JobStarted)


def test_a_refused_start_waits_on_and_one_that_cannot_be_executed_has_failed() -> None:
    for rc, expected in ((None, JobState.PENDING), (127, JobState.FAILED)):
        services = world_of({"a": probed(after=ScriptedAgent(rules={"start": refusing("no", rc)}))})
        record = waiting(services)
        assert isinstance(start(services, record), StillQueued if rc is None else JobStarted)
        message = now(services, record.id)
        assert (message.state, message.has_controller) == (expected, False)


def test_the_next_start_is_the_next_attempt_and_elsewhere() -> None:
    agents = {"a": ScriptedAgent(rules={"start": refusing("no")}), "b": ScriptedAgent()}
    services = world_of({"a": probed(0.1, after=agents["a"]), "b": probed(0.9, after=agents["b"])})
    record = waiting(services)
    assert isinstance(start(services, record), StillQueued)
    assert isinstance(start(services, now(services, record.id)), JobStarted)
    message = now(services, record.id)
    assert (message.attempt, message.nodes) == (2, ("b",))


def test_an_error_on_the_way_leaves_it_queued() -> None:
    def fail(point: str) -> None:
        if point == "reserved":
            raise ClbalanceError("no more files")

    services = world_of({"a": probed(after=ScriptedAgent())}, fail_point=fail)
    record = waiting(services)
    assert start(services, record) == StillQueued(reason="no more files", failed=True)
    message = now(services, record.id)
    assert (message.state, message.queued, message.has_controller, message.reason) == (
        JobState.PENDING,
        True,
        False,
        "no more files",
    )


def test_one_whose_end_was_heard_but_not_written_down_is_not_started_again() -> None:
    services = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(services)
    start(services, record)
    services.journal.ended(record.id, 101, Outcome(node=NodeName("a"), rank=0, end=Exited(rc=0), seconds=1.0))
    assert services.journal.set_pending_reason(record.id, "as if its start had not been written down")
    assert isinstance(start(services, now(services, record.id)), NotAcquired)
    assert now(services, record.id).state is JobState.COMPLETED


def test_looking_at_a_queued_job_changes_nothing() -> None:
    services = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(services)
    assert [one.record for one in refresh(services, [record])] == [record]
    assert services.transport.opened == []  # type: ignore[attr-defined]


def test_a_job_that_was_queued_after_its_node_failed_keeps_its_latest_reason() -> None:
    services = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(services, RestartPolicy(requeue=True))
    start(services, record)
    gone = Outcome(node=NodeName("a"), rank=0, end=NodeFailed(reason="booted"), seconds=1.0)
    services.journal.ended(record.id, 101, gone)
    (seen,) = refresh(services, [now(services, record.id)])
    assert seen.record.reason == "node failure of a; waits for `clbalance rebalance`"
    services.journal.queue(record.id, attempt=1, reason="0/1 nodes fit")
    (seen,) = refresh(services, [seen.record])
    assert (seen.record.state, seen.record.reason) == (JobState.PENDING, "0/1 nodes fit")


def test_a_move_that_was_cut_short_leaves_the_job_in_the_queue() -> None:
    ended = {"kind": "cancelled", "why": "moved to b: level"}
    services = world_of({"a": probed(after=ScriptedAgent(end=ended))})
    record = waiting(services, RestartPolicy(requeue=True))
    start(services, record)
    order = MigrationRequest(attempt=1, dst=NodeName("b"), reason="level")
    assert services.journal.commit_migration(record.id, order)
    (seen,) = refresh(services, [now(services, record.id)])
    assert (seen.record.state, seen.record.queued) == (JobState.PENDING, True)
    assert seen.record.reason == "was being moved to b; waits for `clbalance rebalance`"
    (again,) = refresh(services, [seen.record])
    assert again.record == seen.record, "whoever looks next finds it there as well"
    assert isinstance(start(services, again.record), JobStarted)
    assert now(services, record.id).attempt == 2
    assert services.journal.migration_request_of(record.id) is None


def test_a_queued_job_is_cancelled_without_asking_anybody() -> None:
    services = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(services)
    (seen,) = cancel(services, [record], "cancelled by u")
    assert (seen.record.state, seen.record.reason) == (JobState.CANCELLED, "cancelled by u")
    assert services.transport.opened == []  # type: ignore[attr-defined]


def test_who_waits_for_a_queued_job_lets_time_pass_until_it_has_ended() -> None:
    services = world_of({"a": probed(after=ScriptedAgent())})
    record, samples = waiting(services), 0

    def often() -> bool:
        nonlocal samples
        samples += 1
        if samples == 50:
            assert isinstance(start(services, record), JobStarted)
        return samples > 99

    (seen,) = await_ends(services, [record], unless=often)
    assert seen.record.state is JobState.COMPLETED
    assert services.clock.monotonic() >= 20.0, "half a second between two looks"


def test_two_queued_jobs_are_started_by_one_process() -> None:
    services = world_of({"a": probed(after=ScriptedAgent()), "b": probed(after=ScriptedAgent())})
    records = [waiting(services, key=key) for key in ("ab", "cd")]
    came = [start(services, replace(record)) for record in records]
    assert [type(one) for one in came] == [JobStarted, JobStarted]


def test_a_start_that_was_cut_short_on_a_node_that_is_silent_since_is_no_waiting() -> None:
    """It may run there: nobody starts it elsewhere, and who waits is told."""
    services = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(services)
    start(services, record)
    assert services.journal.set_pending_reason(record.id, "as if its start had not been written down")
    services.transport.nodes[NodeName("a")] = lambda _: [HangUp(cause=Cause.REFUSED, reason="")]  # type: ignore[attr-defined]
    (seen,) = await_ends(services, [record])
    assert [type(outcome.end) for outcome in seen.outcomes] == [Lost]
    assert isinstance(start(services, now(services, record.id)), NotAcquired)


class FailsOnce(InMemoryJournal):
    """A journal that fails once, when a job is given back to the queue."""

    has_failed = False

    def queue(self, job: int, *, attempt: int, reason: str) -> bool:
        if reason == "no more files" and not self.has_failed:
            self.has_failed = True
            raise StoreError("the disk is full")
        return super().queue(job, attempt=attempt, reason=reason)


def test_a_job_that_could_not_be_given_back_is_started_by_who_waits_for_it() -> None:
    def fail(point: str) -> None:
        if point == "reserved" and not journal.has_failed:
            raise ClbalanceError("no more files")

    def start_all(services: Services, jobs: Collection[int]) -> None:
        for number in jobs:
            start(services, now(services, number))

    journal = FailsOnce()
    services = world_of({"a": probed(after=ScriptedAgent())}, journal=journal, fail_point=fail, start_queued=start_all)
    record = waiting(services)
    (seen,) = await_ends(services, [record], unless=lambda: services.clock.monotonic() > 60.0) or (None,)
    assert journal.has_failed
    assert seen is not None
    assert seen.record.state is JobState.COMPLETED
