"""Carry out `run --resume`: the tasks of a job that failed or were not started, once more."""

import contextlib
from dataclasses import replace

from clbalance.cli.job_world import job_world, me, one_job
from clbalance.cli.notify import notify
from clbalance.cli.options import SshOptions
from clbalance.cli.run_many import tell_of_tasks
from clbalance.cli.screen import Screen
from clbalance.cli.shown_tasks import ShownTasks
from clbalance.cli.start_again import place_again, settled
from clbalance.cli.submit import FileInput, NoInput
from clbalance.cli.workplace import Workplace
from clbalance.engine.known import spec_of
from clbalance.engine.run_tasks import TasksOutcome, run_tasks
from clbalance.engine.task_course import TaskCourse
from clbalance.engine.world import World
from clbalance.errors import ClbalanceError, ExitCode, UsageError
from clbalance.job import JobRecord, JobSpec, Submitted, TaskRules
from clbalance.model import Plan
from clbalance.nodes import fold
from clbalance.policy.task_records import is_done, task_records
from clbalance.render import talk
from clbalance.task import Task


def resume_tasks(word: str, ssh: SshOptions, screen: Screen) -> int:
    """The exit code of `clbalance run --resume`."""
    with job_world(ssh, screen) as world:
        named = one_job(world.journal, word)
        submitted = world.journal.submitted(named.id)
        if submitted is None or submitted.rules is None:
            raise UsageError(f"job {named.id} is none of tasks", hint=f"`clbalance requeue {named.id}` starts it again")
        record = settled(world, named, screen, node_is_dead=False)
        left = tasks_left(world, record)
    if not left:
        screen.say(talk.note(f"job {record.id}: all its tasks are completed"))
        return ExitCode.DONE
    place = place_again(submitted, ssh, screen)
    with contextlib.closing(ShownTasks(screen, None, place.candidates, len(left))) as shown:
        outcome = _carry_out(place, record, submitted, submitted.rules, shown)
    return tell_of_tasks(outcome, place, shown)


def tasks_left(world: World, record: JobRecord) -> tuple[Task, ...]:
    """Those that are not completed."""
    records = task_records(world.journal.tasks(record.id), world.journal.task_log(record.id).events())
    return tuple(one.task for one in records if not is_done(one))


def _carry_out(
    place: Workplace, record: JobRecord, submitted: Submitted, rules: TaskRules, shown: ShownTasks
) -> TasksOutcome | Plan:
    with place.world(meanwhile="clbalance.engine.task_run", must_remember=True) as world:
        if not world.journal.take(record.id, f"resumed by {me()}", attempt=record.attempt):
            raise ClbalanceError(f"job {record.id} is in the hands of another process")
        fresh = world.journal.record(record.id) or record  # another may have come and gone
        course = TaskCourse(
            world=world,
            question=place.question_of(submitted.request),
            job=_next(spec_of(world, fresh), fresh),
            tasks=tasks_left(world, fresh),
            rules=rules,
            tries=replace(submitted.tries, after=()),
            stdin=NoInput() if submitted.stdin_path is None else FileInput(submitted.stdin_path),
            listener=shown,
        )
        outcome = run_tasks(course)
        notify(submitted.notify, world.journal.record(record.id))
    return outcome


def _next(job: JobSpec, record: JobRecord) -> JobSpec:
    return replace(job, attempt=record.attempt + 1, claim=record.claim + 1, previous_nodes=fold(record.nodes))
