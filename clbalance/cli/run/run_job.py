"""Carry out one `run`: number the job, run it, show what happens, and say how it ended."""

import contextlib
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

from clbalance.cli.cluster import Workplace
from clbalance.cli.console import Screen
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.cli.output.job_files import filed_run
from clbalance.cli.run.background import keep, notify
from clbalance.cli.run.report import ShownRun, run_ended
from clbalance.cli.run.submission import Submission
from clbalance.engine.agent.copies import DETACHED, KEPT, WATCHED, Interest
from clbalance.engine.agent.listeners import Unheard
from clbalance.engine.run.run import Run
from clbalance.engine.run.values import Course, Ran
from clbalance.engine.services import Question, World
from clbalance.errors import ExitCode
from clbalance.model.job import JobSpec, Submitted, TaskRules, Tries
from clbalance.model.task import Task
from clbalance.ports import Journal, RunListener
from clbalance.render import messages


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
    from clbalance.policy.queue.never_held import never_held  # most jobs are not queued

    if why := never_held(ran.plan.charged.answers, question.request):
        screen.say(messages.warning(f"job {ran.job.id} may wait for ever: {why}"))


def _shown(place: Workplace, submitted: Submission, screen: Screen) -> ShownRun:
    if submitted.pty is None:
        return ShownRun(screen, submitted, place.candidates)
    from clbalance.cli.run.terminal import RunOnTerminal

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
    with place.world(meanwhile="clbalance.engine.run.dispatch", must_remember=detached) as world:
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


# Give a job its number: from here on it is on the disk, whatever becomes of us.


def submit_job(
    world: World,
    asked: Submission,
    question: Question,
    place: Workplace,
    *,
    rules: TaskRules | None = None,
    tasks: tuple[Task, ...] = (),
) -> tuple[JobSpec, Tries]:
    """The job with its number, and how often it may be started; `rules` of a job of tasks.

    `place`: which group was named, and who logs in on its nodes.
    """
    tries = replace(asked.tries, after=_jobs_before(world.journal, asked.options.after or ()))
    job = replace(_job_of(asked), user=_login_of(place), slots=rules is not None)
    whole = Submitted(
        job=job,
        request=question.request,
        candidates=question.candidates,
        tries=tries,
        stdin_path=asked.stdin.path,
        notify=asked.options.notify,
        rules=rules,
        group=place.group,
        policy=asked.policy,
        priority=asked.priority,
        output=asked.files.output,
        error=asked.files.error,
    )
    return replace(job, id=world.journal.submit(world.clock.now(), whole, tasks)), tries


def question_of(place: Workplace, asked: Submission, *, pick: int | None) -> Question:
    """Where to place `pick` copies of it; None: wherever one fits."""
    return place.question(
        pick=pick,
        resources=asked.resources,
        constraints=asked.constraints,
        name=asked.name,
        needs_python=True,
    )


def _login_of(place: Workplace) -> str | None:
    """Who logs in on its nodes, as typed or by the settings of now; a job that runs here needs no login."""
    return None if place.is_here else place.settings.ssh.user


def _jobs_before(journal: Journal, words: Sequence[str]) -> tuple[int, ...]:
    """The jobs that are meant. `UsageError` where there are none, before this one is submitted."""
    if not words:
        return ()
    from clbalance.cli.job_selection import named_jobs

    return tuple(record.id for record in named_jobs(journal, [one for word in words for one in word.split(",")]))


def _job_of(submitted: Submission) -> JobSpec:
    """What is to run, as yet without a number."""
    options = submitted.options
    return JobSpec(
        id=0,
        key=secrets.token_hex(16),
        name=submitted.name,
        work=submitted.work,
        chdir=submitted.chdir,
        chdir_explicit=options.chdir is not None,
        umask=submitted.umask,
        env=submitted.env,
        login=options.login,
        time_limit_s=submitted.time_limit_s,
        pty=submitted.pty,
        submit_host=socket.gethostname(),
        submit_dir=submitted.submit_dir,
    )
