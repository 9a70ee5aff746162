"""Carry out `requeue`: make sure that the job runs nowhere, and run it again as submitted."""

import contextlib
from collections.abc import Callable

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.job_selection import as_submitted, me, one_job, open_job_services, place_again, restartable_job
from clbalance.cli.jobs.follow import Shown
from clbalance.cli.options import SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.cli.output.job_files import FilePatterns, write_run_files
from clbalance.cli.run.background import notify, run_detached
from clbalance.cli.run.job_input import input_of
from clbalance.cli.run.report import run_ended
from clbalance.cli.run.resume_tasks import resume_tasks
from clbalance.engine.agent.copies import DETACHED, FOREGROUND, SUPERVISED, FollowMode
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.submitted import next_attempt
from clbalance.engine.run.run import Run
from clbalance.engine.run.values import RunContext, RunResult
from clbalance.errors import ClbalanceError, ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec, Submitted
from clbalance.model.job_record import JobRecord
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import has_failed
from clbalance.policy.jobs.record import current_copies
from clbalance.policy.jobs.requeue import exclude_reason
from clbalance.ports import RunListener
from clbalance.render import messages


def requeue_job(word: str, ssh: SshOptions, console: Console, *, node_is_dead: bool, detach: bool) -> int:
    """The exit code of `clbalance requeue`."""
    with open_job_services(ssh, console) as services:
        named = one_job(services.journal, word)
        submitted = services.journal.submitted(named.id)
    assert submitted is not None, "a job that is recorded has been submitted"
    ssh = as_submitted(ssh, submitted)
    if submitted.rules is not None:
        return resume_tasks(word, ssh, console, node_is_dead=node_is_dead, detach=detach)
    if submitted.job.pty is not None:
        raise UsageError(f"job {named.id} had a terminal, and cannot start again", hint="`clbalance run --pty`")
    if detach and (submitted.restart_policy.need_controller or submitted.notify is not None):
        console.print(
            f"{run_detached(lambda announce: _run_detached(named, submitted, ssh, console, announce, node_is_dead))}\n"
        )
        return ExitCode.DONE
    again = _requeue(named, submitted, ssh, console, node_is_dead=node_is_dead)
    with contextlib.closing(Restarted(console, again.record)) as shown:
        result = again.carry_out(shown, DETACHED if detach else FOREGROUND)
    return run_ended(result, again.cluster.candidates, console, detached=detach)


def _run_detached(
    named: JobRecord,
    submitted: Submitted,
    ssh: SshOptions,
    console: Console,
    announce: Callable[[int], None],
    node_is_dead: bool,
) -> None:
    """The work of the detached controller: only this process asks nodes."""
    _requeue(named, submitted, ssh, console, node_is_dead=node_is_dead).carry_out(NullListener(), SUPERVISED, announce)


def _requeue(
    named: JobRecord, submitted: Submitted, ssh: SshOptions, console: Console, *, node_is_dead: bool
) -> "_Requeue":
    with open_job_services(ssh, console) as services:
        record = restartable_job(services, named, console, node_is_dead=node_is_dead)
        complete_outputs(services, console)
    return _Requeue(record=record, submitted=submitted, cluster=place_again(submitted, ssh, console))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Requeue:
    """The next attempts of a job, with its submitted options."""

    record: JobRecord
    submitted: Submitted
    cluster: ClusterContext

    def carry_out(
        self, listener: RunListener, mode: FollowMode, announce: Callable[[int], None] = lambda _: None
    ) -> RunResult:
        """Raises `ClbalanceError` if another process controls the job by now."""
        submitted = self.submitted
        with self.cluster.services(meanwhile="clbalance.engine.run.dispatch", needs_store=True) as services:
            if not services.journal.acquire(self.record.id, f"requeued by {me()}", attempt=self.record.attempt):
                raise ClbalanceError(f"job {self.record.id} is controlled by another process now")
            record = services.journal.record(self.record.id) or self.record  # another requeue may have come and gone
            announce(record.id)
            copies = current_copies(record, services.journal.copies(record.id))
            ended = [copy.outcome for copy in copies if copy.outcome is not None]
            failed = {one.node: exclude_reason(one.end) for one in ended if has_failed(one.end)}
            files = FilePatterns.of(submitted)
            with write_run_files(services, files, listener, mode, copies=submitted.request.pick) as (
                writer,
                writer_mode,
            ):
                context = RunContext(
                    services=services,
                    query=self.cluster.query_of(submitted.request),
                    stdin=input_of(services.journal, record.id, submitted),
                    listener=writer,
                    mode=writer_mode,
                )
                run = Run(
                    context, next_attempt(services, record), submitted.restart_policy, failed, queued=record.queued
                )
                result = run.carry_out()
            notify(submitted.notify, services.journal.record(record.id))
        return result


class Restarted(Shown):
    """Shows a job that is started again, on whichever nodes it is placed."""

    def waiting(self, reason: str) -> None:
        self._console.say(messages.note(f"waiting: {reason}"))

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None:
        self._console.say(messages.note(f"job {job.id} moves to {node}: {reason}"))

    def placed(self, job: JobSpec, plan: Plan) -> None:
        self._console.say(messages.note(f"job {job.id}, attempt {job.attempt}, on {fold(plan.chosen)}"))
        self.show_for(tuple(plan.chosen))
