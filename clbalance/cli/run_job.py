"""Carry out one `run`: number the job, run it, show what happens, and say how it ended."""

import contextlib
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

from clbalance.cli.background import keep
from clbalance.cli.notify import notify
from clbalance.cli.run_end import run_ended
from clbalance.cli.screen import Screen
from clbalance.cli.submit import Submission
from clbalance.cli.workplace import Workplace
from clbalance.engine.attempt import Course
from clbalance.engine.interest import DETACHED, KEPT, WATCHED, Interest
from clbalance.engine.question import Question
from clbalance.engine.run import Ran, Run
from clbalance.engine.unheard import Unheard
from clbalance.engine.world import World
from clbalance.errors import ExitCode
from clbalance.job import JobSpec, Outcome, Submitted, Tries
from clbalance.model import NodeName, Plan
from clbalance.nodes import Candidates, NodeSets, fold
from clbalance.ports import Journal, RunListener
from clbalance.render import talk
from clbalance.render.gathered import Gathered
from clbalance.render.labelled import Labelled
from clbalance.render.output_files import FileNames, OutputFiles
from clbalance.render.streams import JobOutput, PassedThrough


def run_job(place: Workplace, submitted: Submission, screen: Screen) -> int:
    """The exit code of `clbalance run`."""
    if submitted.options.detach and submitted.needs_a_keeper:
        number = keep(lambda announce: _keep(place, submitted, announce))
        screen.print(f"{number}\n")
        return ExitCode.DONE
    shown = _shown(place, submitted, screen)
    with contextlib.closing(shown):
        interest = DETACHED if submitted.options.detach else WATCHED
        ran = _carry_out(place, submitted, shown, interest, announce=lambda _: None)
    return run_ended(ran, place.candidates, screen, detached=submitted.options.detach)


def _shown(place: Workplace, submitted: Submission, screen: Screen) -> "ShownRun":
    if submitted.pty is None:
        return ShownRun(screen, submitted, place.candidates)
    from clbalance.cli.on_terminal import RunOnTerminal

    return RunOnTerminal(screen, submitted, place)


def _keep(place: Workplace, submitted: Submission, announce: Callable[[int], None]) -> None:
    """What a keeper does."""
    _carry_out(place, submitted, Unheard(), KEPT, announce)


def _carry_out(
    place: Workplace, submitted: Submission, listener: RunListener, interest: Interest, announce: Callable[[int], None]
) -> Ran:
    question = place.question(pick=submitted.pick, resources=submitted.resources, needs_python=True)
    detached = submitted.options.detach
    with place.world(meanwhile="clbalance.engine.dispatch", must_remember=detached) as world:
        tries = replace(submitted.tries, after=jobs_before(world.journal, submitted.options.after or ()))
        job = _submit(world, submitted, tries, question)
        announce(job.id)
        world.fail_point("submitted")
        course = Course(world=world, question=question, stdin=submitted.stdin, listener=listener, interest=interest)
        ran = Run(course, job, tries).carry_out()
        notify(submitted.options.notify, world.journal.record(job.id))
    return ran


def jobs_before(journal: Journal, words: Sequence[str]) -> tuple[int, ...]:
    """The jobs that are meant. `UsageError` where there are none, before this one is submitted."""
    if not words:
        return ()
    from clbalance.cli.job_world import named_jobs

    return tuple(record.id for record in named_jobs(journal, [one for word in words for one in word.split(",")]))


def _submit(world: World, submitted: Submission, tries: Tries, question: Question) -> JobSpec:
    """The job with its number, both on the disk."""
    job = job_of(submitted)
    whole = Submitted(
        job=job,
        request=question.request,
        candidates=question.candidates,
        tries=tries,
        stdin_path=submitted.stdin.path,
        notify=submitted.options.notify,
    )
    return replace(job, id=world.journal.submit(world.clock.now(), whole))


def job_of(submitted: Submission) -> JobSpec:
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


class ShownRun:
    """Listens to a run for the person or program that started it."""

    def __init__(self, screen: Screen, submitted: Submission, candidates: Candidates) -> None:
        self._screen = screen
        self._options = submitted.options
        self._candidates = candidates
        self._output: JobOutput = PassedThrough(screen.outlets)

    def waiting(self, reason: str) -> None:
        self._screen.say(talk.note(f"waiting: {reason}"))

    def started(self, node: NodeName) -> None:
        pass

    def placed(self, job: JobSpec, plan: Plan) -> None:
        if self._options.explain:
            self._screen.explain(plan)
        told = talk.placed(
            job.id,
            fold(plan.chosen),
            chosen=len(plan.chosen),
            candidates=len(self._candidates.nodes),
            fitting=len(plan.ranked),
        )
        self._screen.say(told)
        self._output.close()
        self._output = self._output_for(
            job, NodeSets(None).expand(fold(plan.chosen))
        )  # shown in the order of their ranks

    def warned(self, node: NodeName, text: str) -> None:
        self._screen.say(talk.warning(f"{node}: {text}"))

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        self._output.write(node, stream, piece)

    def ended(self, outcome: Outcome) -> None:
        self._output.end(outcome.node)

    def close(self) -> None:
        """Show what was held back."""
        self._output.close()

    def _output_for(self, job: JobSpec, nodes: Sequence[NodeName]) -> JobOutput:
        options = self._options
        shown: JobOutput = PassedThrough(self._screen.outlets)
        if options.gather:
            shown = Gathered(self._screen.outlets, nodes, fold)
        elif len(nodes) > 1 if options.label is None else options.label:
            shown = Labelled(self._screen.outlets)
        if options.output is None and options.error is None:
            return shown
        names = FileNames(job_id=job.id, attempt=job.attempt, output=options.output, error=options.error)
        return OutputFiles(names, nodes, otherwise=shown)
