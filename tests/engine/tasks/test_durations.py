"""What tasks took is remembered from earlier jobs of the same name and command."""

from dataclasses import replace

from clbalance.engine.services import Services
from clbalance.engine.tasks.durations import remembered_durations
from clbalance.model import NodeName, Request
from clbalance.model.job import Command, JobSpec, Payload, RestartPolicy, Script, Submitted, TaskRules
from clbalance.model.job_record import Exited
from clbalance.model.task import Task, TaskEnded, TaskGiven
from tests.engine.services import EPOCH, job, world_of

TASKS = (Task(number=1), Task(number=2))
NODE = NodeName("a")


def named(name: str, payload: Payload) -> JobSpec:
    return replace(job(payload, slots=True), name=name)


def ran(services: Services, earlier: JobSpec, *seconds: float) -> None:
    asked = Submitted(
        job=earlier,
        request=Request(needs_python=True),
        candidates=(NODE,),
        restart_policy=RestartPolicy(),
        rules=TaskRules(),
    )
    log = services.journal.task_log(services.journal.submit(EPOCH, asked, tasks=TASKS))
    for task, took_s in zip(TASKS, seconds, strict=False):
        end = TaskEnded(number=task.number, node=NODE, claim=1, end=Exited(rc=0), seconds=took_s, at=EPOCH)
        log.add([TaskGiven(number=task.number, node=NODE, claim=1), end], durable=True)


def test_the_last_job_that_tells_anything_counts() -> None:
    services, same = world_of({}), named("fit", Command(argv=("fit",)))
    ran(services, same, 1.0, 2.0)
    ran(services, same, 3.0, 4.0)
    ran(services, same)  # nothing of it has ended
    assert remembered_durations(services, same, TASKS) == {1: 3.0, 2: 4.0}


def test_other_names_and_other_commands_do_not_count() -> None:
    services = world_of({})
    ran(services, named("fit", Command(argv=("fit", "--fast"))), 1.0, 2.0)
    ran(services, named("draw", Command(argv=("fit",))), 1.0, 2.0)
    assert remembered_durations(services, named("fit", Command(argv=("fit",))), TASKS) == {}


def test_a_script_is_the_same_after_it_was_changed() -> None:
    services = world_of({})
    ran(services, named("fit.sh", Script(name="fit.sh", args=(), content=b"fit 1")), 1.0, 2.0)
    changed = named("fit.sh", Script(name="fit.sh", args=(), content=b"fit 2"))
    assert remembered_durations(services, changed, TASKS) == {1: 1.0, 2: 2.0}
