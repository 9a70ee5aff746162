"""An accepted job of tasks: it runs, or it is queued for the tasks that were not started."""

import random
from collections.abc import Callable

import pytest

from clbalance.engine.agent.listeners import NullTaskListener
from clbalance.engine.jobs.conclude_tasks import record_requeued
from clbalance.engine.jobs.submitted import next_attempt, refresh
from clbalance.engine.services import PlacementQuery, Services
from clbalance.engine.tasks.run_tasks import run_tasks
from clbalance.engine.tasks.values import TaskRunContext
from clbalance.errors import Interrupted
from clbalance.model import Request
from clbalance.model.job import Command, RestartPolicy, Submitted, TaskRules
from clbalance.model.job_record import Exited, JobRecord, JobState
from clbalance.model.task import Task, TaskEnded, TaskGiven
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.jobs.task_records import is_done, task_records
from clbalance.policy.placement.policies import LEAST
from tests.engine.run.test_run import Input
from tests.engine.run.test_start_queued import nodes, now
from tests.engine.services import EPOCH, ScriptedAgent, job, probed, world_of

TASKS = (Task(number=1), Task(number=2))


def full(request: dict[str, object]) -> list[dict[str, object]]:
    """Others took the room after the probe."""
    return [{"ev": "refused", "job": request["job"], "op": "admit", "why": "1 allocated whole"}]


def full_after(admitted: int) -> Callable[[dict[str, object]], list[dict[str, object]]]:
    """So many slots are admitted before that."""
    room = iter(range(admitted))

    def admit(request: dict[str, object]) -> list[dict[str, object]]:
        if next(room, None) is None:
            return full(request)
        return [{"ev": "admitted", "job": request["job"], "gpus": []}]

    return admit


def killed(request: dict[str, object]) -> list[dict[str, object]]:
    """The slot's supervisor is killed before it has begun a task."""
    return [{"ev": "ended", "job": request["job"], "end": {"kind": "killed", "signal": 9}, "seconds": 1.0}]


def submitted(services: Services, restart_policy: RestartPolicy, rules: TaskRules) -> int:
    asked = Submitted(
        job=job(Command(argv=("true",)), slots=True),
        request=Request(needs_python=True),
        candidates=nodes(services),
        restart_policy=restart_policy,
        rules=rules,
    )
    return services.journal.submit(EPOCH, asked, tasks=TASKS, accepted=True)


def left(services: Services, number: int) -> tuple[Task, ...]:
    records = task_records(services.journal.tasks(number), services.journal.task_log(number).events())
    return tuple(one.task for one in records if one.end is None)


def control(services: Services, number: int, *, detached: bool = True) -> JobRecord:
    asked = services.journal.submitted(number)
    assert asked is not None
    assert asked.rules is not None
    context = TaskRunContext(
        services=services,
        query=PlacementQuery(candidates=asked.candidates, request=asked.request, policy=LEAST, rng=random.Random(0)),
        job=next_attempt(services, now(services, number)),
        tasks=left(services, number),
        rules=asked.rules,
        restart_policy=asked.restart_policy,
        stdin=Input(),
        listener=NullTaskListener(),
        queued=True,
        accepted=detached,
    )
    run_tasks(context)
    return now(services, number)


def failed(services: Services, number: int, *tasks: int) -> None:
    (node, *_), at = nodes(services), services.clock.now()
    log = services.journal.task_log(number)
    for task in tasks:
        end = TaskEnded(number=task, node=node, claim=1, end=Exited(rc=3), seconds=1.0, at=at)
        log.add([TaskGiven(number=task, node=node, claim=1), end], durable=True)


@pytest.mark.parametrize("admitted", [0, 1], ids=["refused", "lost"])
@pytest.mark.parametrize("detached", [True, False])
def test_slots_that_are_refused_or_lost_leave_the_job_in_the_queue(admitted: int, detached: bool) -> None:
    rules = {"admit": full_after(admitted), "follow": killed}
    services = world_of({"a": probed(after=ScriptedAgent(rules=rules))}, answer_within_s=3.0, step_within_s=3.0)
    record = control(services, submitted(services, RestartPolicy(), TaskRules()), detached=detached)
    assert is_queued(record)
    assert record.reason.endswith("; 2 tasks left")


def test_its_wait_still_ends_with_its_limit() -> None:
    agent = ScriptedAgent(rules={"admit": full})
    services = world_of({"a": probed(after=agent)}, answer_within_s=3.0, step_within_s=3.0)
    number = submitted(services, RestartPolicy(queue_for_s=60.0), TaskRules())
    assert is_queued(control(services, number))
    services.clock.pause(60.0)
    refresh(services, [now(services, number)])
    assert now(services, number).state is JobState.CANCELLED


def test_a_job_that_too_many_failures_have_stopped_is_over() -> None:
    agent = ScriptedAgent(rules={"admit": full})
    services = world_of({"a": probed(after=agent)}, answer_within_s=3.0, step_within_s=3.0)
    number = submitted(services, RestartPolicy(), TaskRules(max_fail=0.0))
    failed(services, number, 1)
    assert control(services, number).state is JobState.FAILED


def test_a_job_without_any_task_left_is_over() -> None:
    services = world_of({"a": probed(load=9.0)})
    number = submitted(services, RestartPolicy(), TaskRules())
    failed(services, number, 1, 2)
    record = control(services, number)
    assert (record.state, record.rc) == (JobState.FAILED, 3)
    assert services.transport.opened == []  # type: ignore[attr-defined]  # it is a scripted one


def test_failed_tasks_of_a_requeued_job_are_left_for_whoever_controls_it() -> None:
    services = world_of({"a": probed(load=9.0)})
    number = submitted(services, RestartPolicy(), TaskRules())
    failed(services, number, 2)
    assert left(services, number) == TASKS[:1]
    record_requeued(services, number)
    assert left(services, number) == TASKS
    records = task_records(TASKS, services.journal.task_log(number).events())
    assert not any(map(is_done, records))


def test_what_came_from_the_queue_returns_to_it_where_nothing_fits() -> None:
    services = world_of({"a": probed(load=9.0)})
    record = control(services, submitted(services, RestartPolicy(), TaskRules()), detached=False)
    assert is_queued(record)
    assert record.reason == "0/1 nodes fit: 1 load above 1.00"


def test_what_came_from_the_queue_returns_to_it_when_its_sweep_is_interrupted() -> None:
    def interrupted(_: bytes) -> list[bytes]:
        raise Interrupted(2)

    services = world_of({"a": interrupted})
    number = submitted(services, RestartPolicy(), TaskRules())
    with pytest.raises(Interrupted):
        control(services, number, detached=False)
    assert is_queued(now(services, number))
