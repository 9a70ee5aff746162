"""Carry out `run --tasks`, `--array` and `--resume`."""

import contextlib
from collections.abc import Callable
from dataclasses import replace

from clbalance.cli.background import keep
from clbalance.cli.job_files import FilePatterns, conclude_task_files, filed_tasks
from clbalance.cli.many import ManyTasks
from clbalance.cli.notify import notify
from clbalance.cli.screen import Screen, nothing_fits
from clbalance.cli.shown_tasks import ShownTasks
from clbalance.cli.submit_job import question_of, submit_job
from clbalance.cli.workplace import Workplace
from clbalance.engine.run_tasks import TasksOutcome, run_tasks
from clbalance.engine.task_course import TaskCourse
from clbalance.engine.unheard import UnheardTasks
from clbalance.errors import ExitCode
from clbalance.model import Plan
from clbalance.ports import TaskListener


def run_many(place: Workplace, many: ManyTasks, screen: Screen) -> int:
    """The exit code of a run of tasks: the highest of theirs."""
    with many.submission.check_files(has_tasks=True):
        return _run(place, many, screen)


def _run(place: Workplace, many: ManyTasks, screen: Screen) -> int:
    options = many.submission.options
    if options.detach:
        number = keep(lambda announce: _discard(_carry_out(place, many, UnheardTasks(), announce)))
        screen.print(f"{number}\n")
        return ExitCode.DONE
    shown = ShownTasks(screen, options, place.candidates, len(many.tasks))
    with contextlib.closing(shown):
        outcome = _carry_out(place, many, shown, announce=lambda _: None)
    if isinstance(outcome, Plan) and options.explain:
        screen.explain(outcome)
    return tell_of_tasks(outcome, place, shown, explained=options.explain)


def tell_of_tasks(outcome: TasksOutcome | Plan, place: Workplace, shown: ShownTasks, *, explained: bool = False) -> int:
    """Say how it ended, and exit so."""
    if isinstance(outcome, Plan):
        error = nothing_fits(outcome, place.candidates, explained=explained)
        error.exit_code = ExitCode.NOT_RUN_TO_ITS_END
        raise error
    shown.summary(outcome)
    interrupted = outcome.ran.interrupted
    return outcome.verdict.rc if interrupted is None else 128 + interrupted


def _carry_out(
    place: Workplace, many: ManyTasks, listener: TaskListener, announce: Callable[[int], None]
) -> TasksOutcome | Plan:
    submission = many.submission
    question = question_of(place, submission, pick=None)
    with place.world(meanwhile="clbalance.engine.task_run", must_remember=submission.options.detach) as world:
        job, tries = submit_job(world, submission, question, place, rules=many.rules, tasks=many.tasks)
        announce(job.id)
        world.fail_point("submitted")
        course = TaskCourse(
            world=world,
            question=question,
            job=job,
            tasks=many.tasks,
            rules=many.rules,
            tries=tries,
            stdin=submission.stdin,
            listener=listener,
        )
        return run_filed_tasks(
            course, submission.files, submission.options.notify, is_watched=not submission.options.detach
        )


def run_filed_tasks(
    course: TaskCourse, files: FilePatterns, command: str | None, *, is_watched: bool
) -> TasksOutcome | Plan:
    """Run the tasks, write their output files, and tell `command` of the end."""
    world = course.world
    with filed_tasks(world, files, course.listener, is_watched=is_watched) as filed:
        outcome = run_tasks(replace(course, listener=filed))
    if files.any and isinstance(outcome, TasksOutcome) and not outcome.ran.goes_on:
        conclude_task_files(world, course.job, outcome.records)
    notify(command, world.journal.record(course.job.id))
    return outcome


def _discard(outcome: TasksOutcome | Plan) -> None:
    """A keeper has nobody to tell."""
    del outcome
