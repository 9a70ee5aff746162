"""A detached controller: it starts its job again while that may be, waits for room, and never drops what was accepted."""

import random
from dataclasses import dataclass, field

import pytest

from clbalance.engine.agent.copies import SUPERVISED
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.submitted import next_attempt, refresh
from clbalance.engine.run.run import Run
from clbalance.engine.run.values import RunContext, RunResult
from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import StoreError
from clbalance.model import Request
from clbalance.model.job import RestartPolicy, Submitted
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.placement.policies import LEAST
from clbalance.store.in_memory_journal import InMemoryJournal
from tests.engine.services import EPOCH, ScriptedAgent, job, probed, world_of
from tests.scripted import ScriptedNode

from .test_run import Input, refusing
from .test_start_queued import nodes, now

FAILS = {"kind": "exited", "rc": 3}
MAIL = "mail"


@dataclass
class Notified:
    """The jobs whose `--notify` was run, by state."""

    states: list[JobState] = field(default_factory=list)

    def __call__(self, command: str, record: JobRecord) -> None:
        assert command == MAIL
        self.states.append(record.state)


def accepted(services: Services, restart_policy: RestartPolicy) -> int:
    asked = Submitted(
        job=job(),
        request=Request(needs_python=True),
        candidates=nodes(services),
        restart_policy=restart_policy,
        notify=MAIL,
    )
    return services.journal.submit(EPOCH, asked, accepted=True)


def control(services: Services, number: int) -> RunResult:
    submitted = services.journal.submitted(number)
    assert submitted is not None
    query = PlacementQuery(
        candidates=submitted.candidates, request=submitted.request, policy=LEAST, rng=random.Random(0)
    )
    context = RunContext(services=services, query=query, stdin=Input(), listener=NullListener(), mode=SUPERVISED)
    job_spec = next_attempt(services, now(services, number))
    return Run(context, job_spec, submitted.restart_policy, queued=True).carry_out()


def full_for(probes: int, after: ScriptedNode) -> ScriptedNode:
    """A node that has room from the probe after so many on."""
    left = iter([50.0] * probes)

    def node(text: bytes) -> list[object]:
        load = next(left, 0.1) if text.startswith(b"probe ") else 0.1
        return list(probed(load, after=after)(text))

    return node  # type: ignore[return-value]  # as `probed` answers


def test_it_starts_the_job_again_as_often_as_was_said_and_notifies_once() -> None:
    told = Notified()
    services = world_of({"a": probed(after=ScriptedAgent(end=FAILS))}, notify=told)
    number = accepted(services, RestartPolicy(retry=2))
    control(services, number)
    record = now(services, number)
    assert (record.state, record.attempt, record.rc) == (JobState.FAILED, 3, 3)
    assert told.states == [JobState.FAILED]


def test_a_start_that_comes_to_nothing_again_and_again_leaves_the_job_in_the_queue() -> None:
    told = Notified()
    services = world_of({"a": probed(after=ScriptedAgent(rules={"start": refusing("no more processes")}))}, notify=told)
    number = accepted(services, RestartPolicy(requeue=True))
    result = control(services, number)
    assert result.queued is not None
    assert is_queued(now(services, number))
    assert "no more processes" in now(services, number).reason
    assert told.states == []


@pytest.mark.parametrize(
    ("for_s", "state"), [(None, JobState.COMPLETED), (3600.0, JobState.COMPLETED), (2.0, JobState.CANCELLED)]
)
def test_it_waits_for_room_as_long_as_the_job_may(for_s: float | None, state: JobState) -> None:
    told = Notified()
    services = world_of({"a": full_for(8, ScriptedAgent())}, notify=told)
    number = accepted(services, RestartPolicy(queue_for_s=for_s))
    control(services, number)
    record = now(services, number)
    assert record.state is state
    assert record.reason.endswith(" for as long as `--queue-for` allows") == (state is JobState.CANCELLED)
    assert told.states == [state]


def test_the_limit_of_a_wait_is_kept_by_who_finds_the_job() -> None:
    told = Notified()
    services = world_of({"a": probed(50.0)}, notify=told)
    number = accepted(services, RestartPolicy(queue_for_s=60.0))
    services.journal.queue(number, attempt=1, reason="0/1 nodes fit")
    refresh(services, [now(services, number)])
    assert is_queued(now(services, number))
    services.clock.pause(60.0)
    refresh(services, [now(services, number)])
    assert now(services, number).reason == "0/1 nodes fit for as long as `--queue-for` allows"
    refresh(services, [now(services, number)])
    assert told.states == [JobState.CANCELLED]


class FullJournal(InMemoryJournal):
    """A journal whose disk is full when a launch is recorded."""

    def record_launch(self, *args: object, **kwargs: object) -> bool:
        raise StoreError("the disk is full")


def test_a_job_whose_launch_cannot_be_recorded_stays_accepted() -> None:
    agent = ScriptedAgent()
    services = world_of({"a": probed(after=agent)}, journal=FullJournal())
    number = accepted(services, RestartPolicy(retry=1))
    with pytest.raises(StoreError):
        control(services, number)
    services.journal.release(number)
    assert is_queued(now(services, number))
    assert "start" not in [request["op"] for request in agent.heard]
