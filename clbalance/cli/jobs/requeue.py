"""Carry out `requeue`: make sure that the job runs nowhere, and run it again as submitted."""

import contextlib
from dataclasses import replace
from functools import partial

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.job_selection import as_submitted, one_job, open_job_services, place_again, restartable_job
from clbalance.cli.jobs.follow import Shown
from clbalance.cli.node_settings import me
from clbalance.cli.options import SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.cli.output.file_patterns import FilePatterns
from clbalance.cli.output.job_files import write_run_files
from clbalance.cli.run.followed_results import has_results_here, mode_of
from clbalance.cli.run.job_input import input_of
from clbalance.cli.run.pending import start_on
from clbalance.cli.run.report import EndOptions, not_placed, report_queued, run_ended, tell_accepted
from clbalance.cli.run.resume_tasks import resume_tasks
from clbalance.cli.run.start_controller import ConnectOptions, start_controller
from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.jobs.conclude import accept, refuse
from clbalance.engine.jobs.submitted import next_attempt, startable
from clbalance.engine.run.place_now import place_now
from clbalance.engine.run.run import Run
from clbalance.engine.run.values import RunContext, RunResult
from clbalance.engine.services import Services
from clbalance.errors import ClbalanceError, ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec, Submitted
from clbalance.model.job_record import JobRecord
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import has_failed
from clbalance.policy.jobs.record import current_copies
from clbalance.policy.jobs.requeue import exclude_reason
from clbalance.policy.placement.explain import unfit_summary
from clbalance.ports import JobInput, RunListener
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
    with open_job_services(ssh, console) as services:
        record = restartable_job(services, named, console, node_is_dead=node_is_dead)
        complete_outputs(services, console)
    again = _Requeue(record=record, submitted=submitted, cluster=place_again(submitted, ssh, console))
    if detach and submitted.needs_controller and not submitted.engine:
        return again.hand_over(console)
    with contextlib.closing(Restarted(console, record)) as shown:
        result, is_whole = again.carry_out(shown, mode_of(submitted.job.files, detach=detach), console)
    if detach and submitted.engine:
        tell_accepted(result.job, console)
        return ExitCode.DONE
    how = EndOptions(detached=detach)
    code = run_ended(result, again.cluster.candidates, console, FilePatterns.of(submitted), how)
    return code if code or is_whole else ExitCode.NOT_RUN_TO_ITS_END


@dataclass(frozen=True, slots=True, kw_only=True)
class _Requeue:
    """The next attempts of a job, with its submitted options."""

    record: JobRecord
    submitted: Submitted
    cluster: ClusterContext

    def hand_over(self, console: Console) -> int:
        """Accept the job again, and start a controller for it; the exit code."""
        record, submitted, cluster = self.record, self.submitted, self.cluster
        with cluster.services(needs_store=True) as services:
            if not submitted.restart_policy.may_wait:
                query = cluster.query_of(submitted.request)
                plan = place_now(services, query)
                if not plan.fits and record.queued:
                    return report_queued(record, unfit_summary(plan, len(plan.unfit)), console, detached=True)
                if not plan.fits:
                    refuse(services, query.candidates, plan)
                    raise not_placed(plan, cluster.candidates, explained=False)
            self._acquire(services, accepted=True)
            start_controller(services.journal, record.id, record.name, ConnectOptions.of(cluster), console)
            tell_accepted(record, console)
        return ExitCode.DONE

    def carry_out(self, listener: RunListener, mode: FollowMode, console: Console) -> tuple[RunResult, bool]:
        """Start it from this process. The result, and whether its files are here that are returned."""
        submitted = self.submitted
        with self.cluster.services(meanwhile="clbalance.engine.run.dispatch", needs_store=True) as services:
            record, stdin = self._acquire(services, accepted=False)
            copies = current_copies(record, services.journal.copies(record.id))
            ended = [copy.outcome for copy in copies if copy.outcome is not None]
            failed = {one.node: exclude_reason(one.end) for one in ended if has_failed(one.end)}
            files = FilePatterns.of(submitted)
            with write_run_files(services, files, listener, mode, copies=submitted.request.pick) as (
                writer,
                writer_mode,
            ):
                context = RunContext(
                    services=replace(services, start_queued=partial(start_on, self.cluster)),
                    query=self.cluster.query_of(submitted.request),
                    stdin=stdin,
                    listener=writer,
                    mode=writer_mode,
                )
                job = next_attempt(services, record)
                if record.engine:
                    from clbalance.engine.batch.run import EngineRun  # few jobs have a batch system

                    result = EngineRun(context, job, submitted.restart_policy).carry_out()
                else:
                    run = Run(context, job, submitted.restart_policy, failed, queued=record.queued)
                    result = run.carry_out()
            if mode.leave_when_started and result.has_started:
                accept(services, record.id)
                return result, True
            return result, has_results_here(services, console, result, submitted.job.files)

    def _acquire(self, services: Services, *, accepted: bool) -> tuple[JobRecord, JobInput]:
        """The record, once we control the job, and its input. `ClbalanceError` if another process does by now.

        What it needs is read first: a job that cannot start again keeps its end.
        """
        number, attempt = self.record.id, self.record.attempt
        stdin = input_of(services.journal, number, self.submitted)
        startable(services, self.record)
        reason, now = f"requeued by {me()}", services.clock.now()
        if not services.journal.acquire_again(number, reason, attempt=attempt, at=now, accepted=accepted):
            raise ClbalanceError(f"job {number} is now controlled by another process")
        return services.journal.record(number) or self.record, stdin  # another requeue may have come and gone


class Restarted(Shown):
    """Shows a job that is started again, on whichever nodes it is placed."""

    def waiting(self, reason: str) -> None:
        self._console.say(messages.note(f"waiting: {reason}"))

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None:
        self._console.say(messages.note(f"job {job.id} moves to {node}: {reason}"))

    def placed(self, job: JobSpec, plan: Plan) -> None:
        self._console.say(messages.note(f"job {job.id}, attempt {job.attempt}, on {fold(plan.chosen)}"))
        self.show_for(tuple(plan.chosen))
