"""Give a job its number: from here on it is on the disk, whatever becomes of us."""

import secrets
import socket
from collections.abc import Sequence
from dataclasses import replace

from clbalance.cli.submit import Submission
from clbalance.cli.workplace import Workplace
from clbalance.engine.question import Question
from clbalance.engine.world import World
from clbalance.job import JobSpec, Submitted, TaskRules, Tries
from clbalance.ports import Journal
from clbalance.task import Task


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
    from clbalance.cli.job_world import named_jobs

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
