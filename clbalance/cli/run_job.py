"""Carry out one `run`: number the job, run it, show what happens, and say how it ended."""

import contextlib
import secrets
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

from clbalance.cli.background import keep
from clbalance.cli.notify import notify
from clbalance.cli.screen import Screen, nothing_fits
from clbalance.cli.submit import Submission
from clbalance.cli.workplace import Workplace
from clbalance.engine.attempt import Course
from clbalance.engine.dispatched import Dispatched
from clbalance.engine.exit_code import run_exit_code
from clbalance.engine.interest import DETACHED, KEPT, WATCHED, Interest
from clbalance.engine.question import Question
from clbalance.engine.run import Ran, Run
from clbalance.engine.unheard import Unheard
from clbalance.engine.world import World
from clbalance.errors import ClbalanceError, ExitCode, NotRunError
from clbalance.job import JobSpec, Outcome, Submitted
from clbalance.model import NodeName, Plan
from clbalance.nodes import Candidates, NodeSets, fold
from clbalance.ports import RunListener
from clbalance.render import talk
from clbalance.render.gathered import Gathered
from clbalance.render.labelled import Labelled
from clbalance.render.output_files import FileNames, OutputFiles
from clbalance.render.streams import JobOutput, PassedThrough
from clbalance.render.views import JobReport


def run_job(place: Workplace, submitted: Submission, screen: Screen) -> int:
    """The exit code of `clbalance run`."""
    if submitted.options.detach and submitted.needs_a_keeper:
        number = keep(lambda announce: _keep(place, submitted, announce))
        screen.print(f"{number}\n")
        return ExitCode.DONE
    shown = ShownRun(screen, submitted, place.candidates)
    with contextlib.closing(shown):
        interest = DETACHED if submitted.options.detach else WATCHED
        ran = _carry_out(place, submitted, shown, interest, announce=lambda _: None)
    return _told(ran, place, shown)


def _keep(place: Workplace, submitted: Submission, announce: Callable[[int], None]) -> None:
    """What a keeper does."""
    _carry_out(place, submitted, Unheard(), KEPT, announce)


def _carry_out(
    place: Workplace, submitted: Submission, listener: RunListener, interest: Interest, announce: Callable[[int], None]
) -> Ran:
    question = place.question(pick=submitted.pick, resources=submitted.resources, needs_python=True)
    with place.world(meanwhile="clbalance.engine.dispatch") as world:
        job = _submit(world, submitted, question)
        announce(job.id)
        world.fail_point("submitted")
        course = Course(world=world, question=question, stdin=submitted.stdin, listener=listener, interest=interest)
        ran = Run(course, job, submitted.tries).carry_out()
        if submitted.options.notify is not None:
            notify(submitted.options.notify, world.journal.record(job.id))
    return ran


def _told(ran: Ran, place: Workplace, shown: "ShownRun") -> int:
    dispatched = ran.dispatched
    if dispatched is None:
        raise _not_run(ran, place.candidates)
    if dispatched.interrupted == signal.SIGHUP and len(dispatched.outcomes) < len(ran.plan.chosen):
        shown.let_go(ran.job)
    elif len(dispatched.outcomes) == len(ran.plan.chosen):
        shown.summary(ran.job, ran.plan, dispatched)
    else:
        shown.detached(ran.job)
        return ExitCode.DONE
    return run_exit_code(dispatched.outcomes, dispatched.interrupted)


def _submit(world: World, submitted: Submission, question: Question) -> JobSpec:
    """The job with its number, both on the disk."""
    job = _job(submitted)
    whole = Submitted(
        job=job,
        request=question.request,
        candidates=question.candidates,
        tries=submitted.tries,
        stdin_path=submitted.stdin.path,
    )
    return replace(job, id=world.journal.submit(world.clock.now(), whole))


def _job(submitted: Submission) -> JobSpec:
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
        submit_host=socket.gethostname(),
        submit_dir=submitted.submit_dir,
    )


def _not_run(ran: Ran, candidates: Candidates) -> ClbalanceError:
    """Nothing fits: 125, for any other code could be the job's own; 3 where no node can ever run a job."""
    plan = ran.plan
    if ran.cancelled:
        return NotRunError(f"job {ran.job.id} was cancelled before it could be started")
    error = nothing_fits(plan, candidates)
    said_no = [f"{unfit.node}: {unfit.detail}" for unfit in plan.unfit if unfit.filter == "admission"]
    error.message += f" ({'; '.join(said_no[:3])}{'; ...' if len(said_no) > 3 else ''})" if said_no else ""
    if not plan.ranked and all(unfit.filter == "python" for unfit in plan.unfit):
        error.hint = "a job needs python3 (3.6 or newer) on the PATH of its node; `load` and `pick` do not"
    else:
        error.exit_code = ExitCode.NOT_RUN_TO_ITS_END
    return error


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

    def let_go(self, job: JobSpec) -> None:
        """Our terminal is gone; the job is not."""
        self._screen.say(talk.note(f"job {job.id} goes on; `clbalance attach {job.id}` follows it"))

    def detached(self, job: JobSpec) -> None:
        """It runs everywhere."""
        self._screen.print(f"{job.id}\n")

    def summary(self, job: JobSpec, plan: Plan, dispatched: Dispatched) -> None:
        """How each copy ended."""
        report = JobReport(
            id=job.id,
            name=job.name,
            node_set=fold(plan.chosen),
            outcomes=dispatched.outcomes,
            attempt=job.attempt,
        )
        self._screen.say(self._screen.aside.run(report))

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
