"""A job from the queue: taken by one, started once, and where that fails it waits on."""

import base64
import random
from dataclasses import replace

from clbalance.engine.jobs.submitted import await_ends, cancel, look
from clbalance.engine.run.start_queued import Begun, NotTaken, QueuedStart, StillQueued, start_queued
from clbalance.engine.services import Question, World
from clbalance.errors import ClbalanceError
from clbalance.model import Cause, NodeName, Request
from clbalance.model.job import Submitted, Tries
from clbalance.model.job_record import Exited, JobRecord, JobState, Lost, MoveOrder, NodeFailed, Outcome
from clbalance.policy.placement.policies import LEAST
from tests.engine.world import EPOCH, ScriptedAgent, job, probed, world_of
from tests.scripted import HangUp

from .test_run import Input, refusing

QUEUE = Tries(queue=True)


def waiting(world: World, tries: Tries = QUEUE, key: str = "ab") -> JobRecord:
    """A job that was accepted when nothing fitted."""
    asked = Submitted(job=job(key=key * 16), request=Request(needs_python=True), candidates=nodes(world), tries=tries)
    number = world.journal.submit(EPOCH, asked)
    assert world.journal.queue(number, attempt=1, reason="0/1 nodes fit")
    return now(world, number)


def nodes(world: World) -> tuple[NodeName, ...]:
    return tuple(sorted(world.transport.nodes))  # type: ignore[attr-defined]  # it is a scripted one


def now(world: World, number: int) -> JobRecord:
    record = world.journal.record(number)
    assert record is not None
    return record


def start(world: World, record: JobRecord) -> QueuedStart:
    submitted = world.journal.submitted(record.id)
    assert submitted is not None
    question = Question(candidates=submitted.candidates, request=submitted.request, policy=LEAST, rng=random.Random(0))
    return start_queued(world, question, record, submitted, Input())


def test_it_is_started_and_let_go() -> None:
    agent = ScriptedAgent()
    world = world_of({"a": probed(after=agent)})
    record = waiting(world)
    assert isinstance(start(world, record), Begun)
    told = now(world, record.id)
    assert (told.state, told.attempt, told.controlled, told.nodes) == (JobState.RUNNING, 1, False, ("a",))
    (ordered,) = [request for request in agent.heard if request["op"] == "start"]
    assert ordered["spec"]["env"]["CLBALANCE_RESTART_COUNT"] == "0"  # type: ignore[index]  # JSON


def test_its_node_is_sent_the_script_that_was_submitted() -> None:
    """Who looked at it until then has not read it."""
    agent = ScriptedAgent()
    world = world_of({"a": probed(after=agent)})
    start(world, waiting(world))
    sent = [request["data"] for request in agent.heard if request["op"] == "put" and request["file"] == "script"]
    assert sent == [base64.b64encode(b"#!/bin/sh\ntrue\n").decode()]


def test_who_comes_second_starts_nothing() -> None:
    world = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(world)
    start(world, record)
    assert isinstance(start(world, record), NotTaken)


def test_where_nothing_fits_it_waits_on_and_is_told_why() -> None:
    world = world_of({"a": probed(load=9.0, after=ScriptedAgent())})
    record = waiting(world)
    assert start(world, record) == StillQueued(reason="0/1 nodes fit: 1 load above 1.00")
    told = now(world, record.id)
    assert (told.state, told.queued, told.controlled) == (JobState.PENDING, True, False)
    assert told.reason == "0/1 nodes fit: 1 load above 1.00"
    world.transport.nodes[NodeName("a")] = probed(after=ScriptedAgent())  # type: ignore[attr-defined]
    assert isinstance(start(world, told), Begun)


def test_a_refused_start_waits_on_and_one_that_cannot_be_executed_has_failed() -> None:
    for rc, expected in ((None, JobState.PENDING), (127, JobState.FAILED)):
        world = world_of({"a": probed(after=ScriptedAgent(rules={"start": refusing("no", rc)}))})
        record = waiting(world)
        assert isinstance(start(world, record), StillQueued if rc is None else Begun)
        told = now(world, record.id)
        assert (told.state, told.controlled) == (expected, False)


def test_the_next_start_is_the_next_attempt_and_elsewhere() -> None:
    agents = {"a": ScriptedAgent(rules={"start": refusing("no")}), "b": ScriptedAgent()}
    world = world_of({"a": probed(0.1, after=agents["a"]), "b": probed(0.9, after=agents["b"])})
    record = waiting(world)
    assert isinstance(start(world, record), StillQueued)
    assert isinstance(start(world, now(world, record.id)), Begun)
    told = now(world, record.id)
    assert (told.attempt, told.nodes) == (2, ("b",))


def test_an_error_on_the_way_leaves_it_queued() -> None:
    def fail(point: str) -> None:
        if point == "reserved":
            raise ClbalanceError("no more files")

    world = world_of({"a": probed(after=ScriptedAgent())}, fail_point=fail)
    record = waiting(world)
    assert start(world, record) == StillQueued(reason="no more files", failed=True)
    told = now(world, record.id)
    assert (told.state, told.queued, told.controlled, told.reason) == (JobState.PENDING, True, False, "no more files")


def test_one_whose_end_was_heard_but_not_written_down_is_not_started_again() -> None:
    world = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(world)
    start(world, record)
    world.journal.ended(record.id, 101, Outcome(node=NodeName("a"), rank=0, end=Exited(rc=0), seconds=1.0))
    assert world.journal.pend(record.id, "as if its start had not been written down")
    assert isinstance(start(world, now(world, record.id)), NotTaken)
    assert now(world, record.id).state is JobState.COMPLETED


def test_looking_at_a_queued_job_changes_nothing() -> None:
    world = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(world)
    assert [one.record for one in look(world, [record])] == [record]
    assert world.transport.opened == []  # type: ignore[attr-defined]


def test_a_job_that_was_queued_after_its_node_failed_keeps_its_latest_reason() -> None:
    world = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(world, Tries(requeue=True))
    start(world, record)
    gone = Outcome(node=NodeName("a"), rank=0, end=NodeFailed(why="booted"), seconds=1.0)
    world.journal.ended(record.id, 101, gone)
    (seen,) = look(world, [now(world, record.id)])
    assert seen.record.reason == "node failure of a; waits for `clbalance rebalance`"
    world.journal.queue(record.id, attempt=1, reason="0/1 nodes fit")
    (seen,) = look(world, [seen.record])
    assert (seen.record.state, seen.record.reason) == (JobState.PENDING, "0/1 nodes fit")


def test_a_move_that_was_cut_short_leaves_the_job_in_the_queue() -> None:
    ended = {"kind": "cancelled", "why": "moved to b: level"}
    world = world_of({"a": probed(after=ScriptedAgent(end=ended))})
    record = waiting(world, Tries(requeue=True))
    start(world, record)
    order = MoveOrder(attempt=1, dst=NodeName("b"), why="level")
    assert world.journal.mean_move(record.id, order)
    (seen,) = look(world, [now(world, record.id)])
    assert (seen.record.state, seen.record.queued) == (JobState.PENDING, True)
    assert seen.record.reason == "was being moved to b; waits for `clbalance rebalance`"
    (again,) = look(world, [seen.record])
    assert again.record == seen.record, "whoever looks next finds it there as well"
    assert isinstance(start(world, again.record), Begun)
    assert now(world, record.id).attempt == 2
    assert world.journal.move_of(record.id) is None


def test_a_queued_job_is_cancelled_without_asking_anybody() -> None:
    world = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(world)
    (seen,) = cancel(world, [record], "cancelled by u")
    assert (seen.record.state, seen.record.reason) == (JobState.CANCELLED, "cancelled by u")
    assert world.transport.opened == []  # type: ignore[attr-defined]


def test_who_waits_for_a_queued_job_lets_time_pass_until_it_has_ended() -> None:
    world = world_of({"a": probed(after=ScriptedAgent())})
    record, looks = waiting(world), 0

    def often() -> bool:
        nonlocal looks
        looks += 1
        if looks == 50:
            assert isinstance(start(world, record), Begun)
        return looks > 99

    (seen,) = await_ends(world, [record], unless=often)
    assert seen.record.state is JobState.COMPLETED
    assert world.clock.monotonic() >= 20.0, "half a second between two looks"


def test_two_queued_jobs_are_started_by_one_process() -> None:
    world = world_of({"a": probed(after=ScriptedAgent()), "b": probed(after=ScriptedAgent())})
    records = [waiting(world, key=key) for key in ("ab", "cd")]
    came = [start(world, replace(record)) for record in records]
    assert [type(one) for one in came] == [Begun, Begun]


def test_a_start_that_was_cut_short_on_a_node_that_is_silent_since_is_no_waiting() -> None:
    """It may run there: nobody starts it elsewhere, and who waits is told."""
    world = world_of({"a": probed(after=ScriptedAgent())})
    record = waiting(world)
    start(world, record)
    assert world.journal.pend(record.id, "as if its start had not been written down")
    world.transport.nodes[NodeName("a")] = lambda _: [HangUp(cause=Cause.REFUSED, why="")]  # type: ignore[attr-defined]
    (seen,) = await_ends(world, [record])
    assert [type(outcome.end) for outcome in seen.outcomes] == [Lost]
    assert isinstance(start(world, now(world, record.id)), NotTaken)
