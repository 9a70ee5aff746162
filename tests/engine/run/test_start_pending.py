"""A process that waits for a queued job starts those before it, too; and a job from the queue returns to it."""

import random

import pytest

from clbalance.engine.agent.copies import FOREGROUND
from clbalance.engine.jobs.submitted import next_attempt
from clbalance.engine.run.run import Run
from clbalance.engine.run.start_pending import start_pending
from clbalance.engine.run.start_queued import SubmittedInputs
from clbalance.engine.run.values import RunContext
from clbalance.engine.services import PlacementQuery
from clbalance.errors import NotRunError
from clbalance.model import Cause, NodeName
from clbalance.model.job import RestartPolicy, Submitted
from clbalance.model.job_record import JobState
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.placement.policies import LEAST
from tests.engine.services import Notes, ScriptedAgent, probed, world_of
from tests.scripted import HangUp

from .test_run import Input
from .test_start_queued import now, start, waiting

RNG = random.Random(0)


def query_of(asked: Submitted) -> PlacementQuery:
    return PlacementQuery(candidates=asked.candidates, request=asked.request, policy=LEAST, rng=RNG)


def test_an_older_job_that_has_the_room_is_started_for_who_waits_for_a_younger_one() -> None:
    services = world_of({"a": probed(after=ScriptedAgent())})
    older, younger = waiting(services, key="ab"), waiting(services, key="cd")
    inputs = SubmittedInputs(query_of=query_of, input_of=lambda *_: Input(), control=lambda _: False)
    start_pending(services, [younger.id], inputs, lambda _: LEAST, RNG)
    assert now(services, older.id).state is JobState.RUNNING


@pytest.mark.parametrize("queued", [True, False])
def test_a_job_whose_dependency_is_silent_is_dropped_only_if_it_was_not_accepted(queued: bool) -> None:
    services = world_of({"a": probed(after=ScriptedAgent())}, answer_within_s=3.0, step_within_s=3.0)
    before = waiting(services, key="ab")
    start(services, before)
    services.transport.nodes[NodeName("a")] = lambda _: [HangUp(cause=Cause.REFUSED, reason="")]  # type: ignore[attr-defined]
    record = waiting(services, RestartPolicy(after=(before.id,)), key="cd")
    asked = services.journal.submitted(record.id)
    assert asked is not None
    assert isinstance(services.listener, Notes)
    context = RunContext(
        services=services, query=query_of(asked), stdin=Input(), listener=services.listener, mode=FOREGROUND
    )
    run = Run(context, next_attempt(services, record), asked.restart_policy, queued=queued)
    if queued:
        assert run.carry_out().queued is not None
    else:
        with pytest.raises(NotRunError, match="is not started"):
            run.carry_out()
    assert is_queued(now(services, record.id)) is queued
