"""Carry out one `run`: number the job, run it, show what happens, and say how it ended."""

import contextlib
from collections.abc import Callable

from clbalance.cli.background import keep
from clbalance.cli.complete_outputs import complete_outputs
from clbalance.cli.job_files import filed_run
from clbalance.cli.notify import notify
from clbalance.cli.run_end import ShownRun, run_ended
from clbalance.cli.screen import Screen
from clbalance.cli.submit import Submission
from clbalance.cli.submit_job import question_of, submit_job
from clbalance.cli.workplace import Workplace
from clbalance.engine.dispatched import Course, Ran
from clbalance.engine.interest import DETACHED, KEPT, WATCHED, Interest
from clbalance.engine.question import Question
from clbalance.engine.run import Run
from clbalance.engine.unheard import Unheard
from clbalance.errors import ExitCode
from clbalance.ports import RunListener
from clbalance.render import talk


def run_job(place: Workplace, submitted: Submission, screen: Screen) -> int:
    """The exit code of `clbalance run`."""
    with submitted.check_files(has_tasks=False):
        return _run(place, submitted, screen)


def _run(place: Workplace, submitted: Submission, screen: Screen) -> int:
    if submitted.options.detach and submitted.needs_a_keeper:
        number = keep(lambda announce: _keep(place, submitted, announce))
        screen.print(f"{number}\n")
        return ExitCode.DONE
    shown = _shown(place, submitted, screen)
    with contextlib.closing(shown):
        interest = DETACHED if submitted.options.detach else WATCHED
        ran = _carry_out(place, submitted, shown, interest, screen=screen)
    if ran.queued is not None:
        _warn_if_never(ran, question_of(place, submitted, pick=submitted.pick), screen)
    options = submitted.options
    return run_ended(ran, place.candidates, screen, detached=options.detach, explain=options.explain)


def _warn_if_never(ran: Ran, question: Question, screen: Screen) -> None:
    """It is accepted all the same: nodes grow, and names are made."""
    from clbalance.policy.never_held import never_held  # most jobs are not queued

    if why := never_held(ran.plan.charged.answers, question.request):
        screen.say(talk.warning(f"job {ran.job.id} may wait for ever: {why}"))


def _shown(place: Workplace, submitted: Submission, screen: Screen) -> ShownRun:
    if submitted.pty is None:
        return ShownRun(screen, submitted, place.candidates)
    from clbalance.cli.on_terminal import RunOnTerminal

    return RunOnTerminal(screen, submitted, place)


def _keep(place: Workplace, submitted: Submission, announce: Callable[[int], None]) -> None:
    """What a keeper does."""
    _carry_out(place, submitted, Unheard(), KEPT, announce)


def _carry_out(
    place: Workplace,
    submitted: Submission,
    listener: RunListener,
    interest: Interest,
    announce: Callable[[int], None] = lambda _: None,
    *,
    screen: Screen | None = None,
) -> Ran:
    question = question_of(place, submitted, pick=submitted.pick)
    detached = submitted.options.detach
    with place.world(meanwhile="clbalance.engine.dispatch", must_remember=detached) as world:
        job, tries = submit_job(world, submitted, question, place)
        announce(job.id)
        world.fail_point("submitted")
        with filed_run(world, submitted.files, listener, interest, copies=submitted.pick) as (filed, follows):
            course = Course(world=world, question=question, stdin=submitted.stdin, listener=filed, interest=follows)
            ran = Run(course, job, tries).carry_out()
        if screen is not None:
            complete_outputs(world, screen, again=False)
        notify(submitted.options.notify, world.journal.record(job.id))
    return ran
