"""Carry out `requeue`: make sure that the job runs nowhere, and run it as it was submitted."""

import contextlib
from dataclasses import replace

from clbalance.cli.follow_jobs import Shown
from clbalance.cli.job_world import job_world, me, one_job
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.screen import Screen, nothing_fits
from clbalance.cli.submit import FileInput, NoInput
from clbalance.cli.workplace import Workplace, ssh_transport, workplace
from clbalance.engine.attempt import Course
from clbalance.engine.exit_code import run_exit_code
from clbalance.engine.interest import DETACHED, WATCHED
from clbalance.engine.known import give_up_for_dead, look, spec_of
from clbalance.engine.run import Ran, Run
from clbalance.engine.world import World
from clbalance.errors import ClbalanceError, ExitCode, UsageError
from clbalance.job import JobRecord, JobSpec, Lost, Submitted
from clbalance.model import Plan
from clbalance.nodes import fold
from clbalance.policy.settling import current_copies
from clbalance.policy.verdict import has_failed, reason_of
from clbalance.render import talk
from clbalance.render.views import JobReport
from clbalance.transport.reach import this_node


def start_again(word: str, ssh: SshOptions, screen: Screen, *, node_is_dead: bool, detach: bool) -> int:
    """The exit code of `clbalance requeue`."""
    with job_world(ssh, screen) as world:
        record = _settled(world, one_job(world.journal, word), screen, node_is_dead=node_is_dead)
        submitted = world.journal.submitted(record.id)
        assert submitted is not None, "a job that is recorded has been submitted"
        if not world.journal.take(record.id):
            raise ClbalanceError(f"job {record.id} is in the hands of another process")
        place = _place(submitted, ssh, screen)
        shown = Restarted(screen, record)
        with contextlib.closing(shown):
            ran = _run(world, place, record, submitted, shown, detach=detach)
    return _told(screen, ran, place)


def _settled(world: World, record: JobRecord, screen: Screen, *, node_is_dead: bool) -> JobRecord:
    """The job, over; `UsageError` where it may still run and nobody says otherwise."""
    (visited,) = look(world, [record])
    if visited.record.state.is_over:
        return visited.record
    silent = [outcome for outcome in visited.outcomes if isinstance(outcome.end, Lost)]
    if not silent or visited.record.controlled:
        raise UsageError(f"job {record.id} is {visited.record.state}", hint=f"`clbalance cancel {record.id}` ends it")
    where = fold(outcome.node for outcome in silent)
    if not node_is_dead:
        raise UsageError(
            f"job {record.id} may still run on {where}: {reason_of(silent[0].end)}",
            hint="`--node-is-dead` is your word that it does not; if it does, it runs twice",
        )
    screen.say(talk.warning(f"job {record.id} may run twice, should {where} come back"))
    return give_up_for_dead(world, visited, f"said to be dead by {me()}")


def _place(submitted: Submitted, ssh: SshOptions, screen: Screen) -> Workplace:
    place = workplace(NodeOptions(nodes=[fold(submitted.candidates)]), ssh, screen)
    here = frozenset({this_node()})
    return replace(place, transport=ssh_transport(place.settings, ssh.ssh_options or (), here=here))


def _run(
    world: World, place: Workplace, record: JobRecord, submitted: Submitted, shown: "Restarted", *, detach: bool
) -> Ran:
    """One more attempt, and all those that it was submitted with."""
    copies = current_copies(record, world.journal.copies(record.id))
    failed = frozenset(one.node for one in (copy.outcome for copy in copies) if one is not None and has_failed(one.end))
    course = Course(
        world=replace(world, transport=place.transport, cpu_factors=place.cpu_factors),
        question=place.question_of(submitted.request),
        stdin=NoInput() if submitted.stdin_path is None else FileInput(submitted.stdin_path),
        listener=shown,
        interest=DETACHED if detach else WATCHED,
    )
    return Run(course, _next(spec_of(world, record), record), submitted.tries, avoid=failed).carry_out()


def _next(job: JobSpec, record: JobRecord) -> JobSpec:
    return replace(job, attempt=record.attempt + 1, claim=record.claim + 1, previous_nodes=fold(record.nodes))


class Restarted(Shown):
    """Shows a job that starts again, wherever it goes now."""

    def waiting(self, reason: str) -> None:
        self._screen.say(talk.note(f"waiting: {reason}"))

    def placed(self, job: JobSpec, plan: Plan) -> None:
        self._screen.say(talk.note(f"job {job.id}, attempt {job.attempt}, on {fold(plan.chosen)}"))
        self.show_for(tuple(plan.chosen))


def _told(screen: Screen, ran: Ran, place: Workplace) -> int:
    dispatched = ran.dispatched
    if dispatched is None:
        raise nothing_fits(ran.plan, place.candidates)
    if len(dispatched.outcomes) < len(ran.plan.chosen):
        screen.print(f"{ran.job.id}\n")
        return ExitCode.DONE
    report = JobReport(
        id=ran.job.id,
        name=ran.job.name,
        node_set=fold(ran.plan.chosen),
        outcomes=dispatched.outcomes,
        attempt=ran.job.attempt,
    )
    screen.say(screen.aside.run(report))
    return run_exit_code(dispatched.outcomes, dispatched.interrupted)
