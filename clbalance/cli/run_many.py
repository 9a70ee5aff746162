"""Carry out `run --tasks`, `--array` and `--resume`."""

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import replace

from clbalance.cli.background import keep
from clbalance.cli.many import ManyTasks
from clbalance.cli.notify import notify
from clbalance.cli.run_job import job_of, jobs_before
from clbalance.cli.screen import Screen, nothing_fits
from clbalance.cli.shown_tasks import ShownTasks
from clbalance.cli.workplace import Workplace
from clbalance.engine.run_tasks import TasksOutcome, run_tasks
from clbalance.engine.task_run import TaskCourse
from clbalance.engine.unheard import UnheardTasks
from clbalance.engine.world import World
from clbalance.errors import ExitCode
from clbalance.job import Submitted
from clbalance.model import Plan
from clbalance.ports import TaskListener


def run_many(place: Workplace, many: ManyTasks, screen: Screen) -> int:
    """The exit code of a run of tasks: the highest of theirs."""
    options = many.submission.options
    if options.detach:
        number = keep(lambda announce: _discard(_carry_out(place, many, UnheardTasks(), announce)))
        screen.print(f"{number}\n")
        return ExitCode.DONE
    shown = ShownTasks(screen, options, place.candidates, len(many.tasks))
    with contextlib.closing(shown):
        outcome = _carry_out(place, many, shown, announce=lambda _: None)
    return tell_of_tasks(outcome, place, shown)


def tell_of_tasks(outcome: TasksOutcome | Plan, place: Workplace, shown: ShownTasks) -> int:
    """Say how it ended, and exit so."""
    if isinstance(outcome, Plan):
        error = nothing_fits(outcome, place.candidates)
        error.exit_code = ExitCode.NOT_RUN_TO_ITS_END
        raise error
    shown.summary(outcome)
    interrupted = outcome.ran.interrupted
    return outcome.verdict.rc if interrupted is None else 128 + interrupted


def _carry_out(
    place: Workplace, many: ManyTasks, listener: TaskListener, announce: Callable[[int], None]
) -> TasksOutcome | Plan:
    submission = many.submission
    question = place.question(pick=None, resources=submission.resources, needs_python=True)
    with place.world(meanwhile="clbalance.engine.task_run", must_remember=submission.options.detach) as world:
        before = jobs_before(world.journal, submission.options.after or ())
        tries = replace(submission.tries, after=before)
        job = replace(job_of(submission), slots=True, key=secrets.token_hex(16))
        whole = Submitted(
            job=job,
            request=question.request,
            candidates=question.candidates,
            tries=tries,
            stdin_path=submission.stdin.path,
            notify=submission.options.notify,
            rules=many.rules,
        )
        job = replace(job, id=world.journal.submit(world.clock.now(), whole, many.tasks))
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
        return _to_the_end(world, course, submission.options.notify)


def _to_the_end(world: World, course: TaskCourse, command: str | None) -> TasksOutcome | Plan:
    outcome = run_tasks(course)
    notify(command, world.journal.record(course.job.id))
    return outcome


def _discard(outcome: TasksOutcome | Plan) -> None:
    """A keeper has nobody to tell."""
    del outcome
