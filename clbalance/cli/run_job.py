"""Carry out one `run`: number the job, run it, show what happens, and say how it ended."""

import contextlib
from collections.abc import Callable, Sequence

from clbalance.cli.background import keep
from clbalance.cli.notify import notify
from clbalance.cli.run_end import run_ended
from clbalance.cli.screen import Screen
from clbalance.cli.submit import Submission
from clbalance.cli.submit_job import question_of, submit_job
from clbalance.cli.workplace import Workplace
from clbalance.engine.attempt import Course
from clbalance.engine.interest import DETACHED, KEPT, WATCHED, Interest
from clbalance.engine.question import Question
from clbalance.engine.run import Ran, Run
from clbalance.engine.unheard import Unheard
from clbalance.errors import ExitCode
from clbalance.job import JobSpec, Outcome
from clbalance.model import NodeName, Plan
from clbalance.nodes import Candidates, NodeSets, fold
from clbalance.ports import RunListener
from clbalance.render import talk
from clbalance.render.gathered import Gathered
from clbalance.render.labelled import Labelled
from clbalance.render.output_files import FileNames, OutputFiles
from clbalance.render.streams import JobOutput, PassedThrough


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
        ran = _carry_out(place, submitted, shown, interest, announce=lambda _: None)
    if ran.queued is not None:
        _warn_if_never(ran, question_of(place, submitted, pick=submitted.pick), screen)
    options = submitted.options
    return run_ended(ran, place.candidates, screen, detached=options.detach, explain=options.explain)


def _warn_if_never(ran: Ran, question: Question, screen: Screen) -> None:
    """It is accepted all the same: nodes grow, and names are made."""
    from clbalance.policy.never_held import never_held  # most jobs are not queued

    if why := never_held(ran.plan.charged.answers, question.request):
        screen.say(talk.warning(f"job {ran.job.id} may wait for ever: {why}"))


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
    question = question_of(place, submitted, pick=submitted.pick)
    detached = submitted.options.detach
    with place.world(meanwhile="clbalance.engine.dispatch", must_remember=detached) as world:
        job, tries = submit_job(world, submitted, question, place)
        announce(job.id)
        world.fail_point("submitted")
        course = Course(world=world, question=question, stdin=submitted.stdin, listener=listener, interest=interest)
        ran = Run(course, job, tries).carry_out()
        notify(submitted.options.notify, world.journal.record(job.id))
    return ran


class ShownRun:
    """Listens to a run for the person or program that started it."""

    def __init__(self, screen: Screen, submitted: Submission, candidates: Candidates) -> None:
        self._screen = screen
        self._options = submitted.options
        self._candidates = candidates
        self._output: JobOutput = PassedThrough(screen.outlets)

    def waiting(self, reason: str) -> None:
        self._screen.say(talk.note(f"waiting: {reason}"))

    def moving(self, job: JobSpec, node: NodeName, why: str) -> None:
        self._screen.say(talk.note(f"job {job.id} moves to {node}: {why}"))

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
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
