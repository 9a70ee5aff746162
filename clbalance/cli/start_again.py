"""Carry out `requeue`: make sure that the job runs nowhere, and run it as it was submitted."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from clbalance.cli.background import keep
from clbalance.cli.follow_jobs import Shown
from clbalance.cli.job_world import job_world, me, one_job
from clbalance.cli.notify import notify
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.run_end import run_ended
from clbalance.cli.screen import Screen
from clbalance.cli.submit import FileInput, NoInput
from clbalance.cli.workplace import Workplace, ssh_transport, workplace
from clbalance.engine.attempt import Course
from clbalance.engine.interest import DETACHED, KEPT, WATCHED, Interest
from clbalance.engine.known import give_up_for_dead, look, spec_of
from clbalance.engine.run import Ran, Run
from clbalance.engine.unheard import Unheard
from clbalance.engine.world import World
from clbalance.errors import ClbalanceError, ExitCode, UsageError
from clbalance.job import JobRecord, JobSpec, Lost, Submitted
from clbalance.model import Plan
from clbalance.nodes import fold
from clbalance.policy.settling import current_copies
from clbalance.policy.verdict import has_failed, reason_of
from clbalance.ports import RunListener
from clbalance.render import talk
from clbalance.transport.reach import this_node


def start_again(word: str, ssh: SshOptions, screen: Screen, *, node_is_dead: bool, detach: bool) -> int:
    """The exit code of `clbalance requeue`."""
    with job_world(ssh, screen) as world:
        named = one_job(world.journal, word)
        submitted = world.journal.submitted(named.id)
        assert submitted is not None, "a job that is recorded has been submitted"
        if submitted.rules is not None:
            raise UsageError(f"job {named.id} is one of tasks", hint=f"`clbalance run --resume {named.id}`")
        record = settled(world, named, screen, node_is_dead=node_is_dead)
    if submitted.job.pty is not None:
        raise UsageError(f"job {record.id} had a terminal, and cannot start again", hint="`clbalance run --pty`")
    place = place_again(submitted, ssh, screen)
    again = _Again(record=record, submitted=submitted, place=place)
    if detach and (submitted.tries.need_a_keeper or submitted.notify is not None):
        screen.print(f"{keep(again.in_background)}\n")
        return ExitCode.DONE
    with contextlib.closing(Restarted(screen, record)) as shown:
        ran = again.carry_out(shown, DETACHED if detach else WATCHED)
    return run_ended(ran, place.candidates, screen, detached=detach)


def settled(world: World, record: JobRecord, screen: Screen, *, node_is_dead: bool) -> JobRecord:
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


def place_again(submitted: Submitted, ssh: SshOptions, screen: Screen) -> Workplace:
    """The candidates that it was submitted with; this machine is reached without ssh, for jobs that were run here."""
    place = workplace(NodeOptions(nodes=[fold(submitted.candidates)]), ssh, screen)
    here = frozenset({this_node()})
    return replace(place, transport=ssh_transport(place.settings, ssh.ssh_options or (), here=here))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Again:
    """One more attempt of a job, and all those that it was submitted with."""

    record: JobRecord
    submitted: Submitted
    place: Workplace

    def in_background(self, announce: Callable[[int], None]) -> None:
        """What a keeper does."""
        self.carry_out(Unheard(), KEPT, announce)

    def carry_out(
        self, listener: RunListener, interest: Interest, announce: Callable[[int], None] = lambda _: None
    ) -> Ran:
        """`ClbalanceError` where somebody else was quicker."""
        submitted = self.submitted
        with self.place.world(meanwhile="clbalance.engine.dispatch", must_remember=True) as world:
            if not world.journal.take(self.record.id, f"requeued by {me()}", attempt=self.record.attempt):
                raise ClbalanceError(f"job {self.record.id} is in the hands of another process")
            record = world.journal.record(self.record.id) or self.record  # another requeue may have come and gone
            announce(record.id)
            copies = current_copies(record, world.journal.copies(record.id))
            ended = [copy.outcome for copy in copies if copy.outcome is not None]
            course = Course(
                world=world,
                question=self.place.question_of(submitted.request),
                stdin=NoInput() if submitted.stdin_path is None else FileInput(submitted.stdin_path),
                listener=listener,
                interest=interest,
            )
            failed = frozenset(one.node for one in ended if has_failed(one.end))
            ran = Run(course, _next(spec_of(world, record), record), submitted.tries, avoid=failed).carry_out()
            notify(submitted.notify, world.journal.record(record.id))
        return ran


def _next(job: JobSpec, record: JobRecord) -> JobSpec:
    return replace(job, attempt=record.attempt + 1, claim=record.claim + 1, previous_nodes=fold(record.nodes))


class Restarted(Shown):
    """Shows a job that starts again, wherever it goes now."""

    def waiting(self, reason: str) -> None:
        self._screen.say(talk.note(f"waiting: {reason}"))

    def placed(self, job: JobSpec, plan: Plan) -> None:
        self._screen.say(talk.note(f"job {job.id}, attempt {job.attempt}, on {fold(plan.chosen)}"))
        self.show_for(tuple(plan.chosen))
