"""Carry out `run --resume`: run the tasks of a job again that failed or were not started."""

import contextlib
from dataclasses import replace

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.job_selection import as_submitted, one_job, open_job_services, place_again, restartable_job
from clbalance.cli.node_settings import me
from clbalance.cli.options import SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.cli.output.file_patterns import FilePatterns
from clbalance.cli.run.followed_results import has_task_results_here
from clbalance.cli.run.job_input import input_of
from clbalance.cli.run.report import not_placed, report_queued, tell_accepted
from clbalance.cli.run.run_tasks import report_tasks, run_tasks_with_files, unfinished_tasks
from clbalance.cli.run.start_controller import ConnectOptions, start_controller
from clbalance.cli.run.task_progress import ShownTasks
from clbalance.engine.jobs.conclude import refuse
from clbalance.engine.jobs.conclude_tasks import record_requeued
from clbalance.engine.jobs.submitted import next_attempt, startable
from clbalance.engine.run.place_now import place_now
from clbalance.engine.services import Services
from clbalance.engine.tasks.run_tasks import TaskJobResult
from clbalance.engine.tasks.values import TaskRunContext
from clbalance.errors import ClbalanceError, ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.model.job import Submitted, TaskRules
from clbalance.model.job_record import JobRecord
from clbalance.model.task import Task
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.placement.explain import unfit_summary
from clbalance.ports import JobInput, TaskListener
from clbalance.render import messages


def resume_tasks(
    word: str, ssh: SshOptions, console: Console, *, node_is_dead: bool = False, detach: bool = False
) -> int:
    """The exit code of `clbalance run --resume`, and of `requeue` of a job of tasks."""
    with open_job_services(ssh, console) as services:
        named = one_job(services.journal, word)
        submitted = services.journal.submitted(named.id)
    if submitted is None or submitted.rules is None:
        raise UsageError(
            f"job {named.id} is not a job of tasks", hint=f"`clbalance requeue {named.id}` starts it again"
        )
    ssh = as_submitted(ssh, submitted)
    resumed = _Resumed(named=named, submitted=submitted, ssh=ssh, console=console, node_is_dead=node_is_dead)
    return resumed.in_background() if detach else resumed.here()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resumed:
    """A job of tasks whose unfinished tasks are run again."""

    named: JobRecord
    submitted: Submitted
    ssh: SshOptions
    console: Console
    node_is_dead: bool

    def here(self) -> int:
        """Run the tasks and show them; the exit code."""
        record, left = self._unfinished()
        if not left:
            return ExitCode.DONE
        cluster = place_again(self.submitted, self.ssh, self.console)
        files = FilePatterns.of(self.submitted)
        with contextlib.closing(ShownTasks(self.console, None, cluster.candidates, len(left), files)) as shown:
            outcome, queued, is_whole = self._carry_out(record, cluster, shown)
        if queued is not None:
            return report_queued(record, queued, self.console, detached=False)
        code = report_tasks(outcome, cluster, shown)
        return code if code or is_whole else ExitCode.NOT_RUN_TO_ITS_END

    def in_background(self) -> int:
        """Leave the tasks to a controller; the exit code."""
        record, left = self._unfinished()
        if not left:
            return ExitCode.DONE
        cluster = place_again(self.submitted, self.ssh, self.console)
        with cluster.services(needs_store=True) as services:
            query = cluster.query_of(self.submitted.request)
            plan = place_now(services, query)
            if not plan.fits and not self.submitted.restart_policy.may_wait:
                if record.queued:
                    return report_queued(record, unfit_summary(plan, len(plan.unfit)), self.console, detached=True)
                refuse(services, query.candidates, plan)
                raise not_placed(plan, cluster.candidates, explained=False)
            self._acquire(services, record, accepted=True)
            options = ConnectOptions.of(cluster)
            start_controller(services.journal, record.id, record.name, options, self.console)
            tell_accepted(record, self.console)
        return ExitCode.DONE

    def _unfinished(self) -> tuple[JobRecord, tuple[Task, ...]]:
        """The job, which runs nowhere, and its unfinished tasks; `UsageError` if it may still run."""
        with open_job_services(self.ssh, self.console) as services:
            record = restartable_job(services, self.named, self.console, node_is_dead=self.node_is_dead)
            complete_outputs(services, self.console)  # before a task runs again whose output is in a file
            left = unfinished_tasks(services, record, again=True)
        if not left:
            self.console.say(messages.note(f"job {record.id}: all its tasks are completed"))
        return record, left

    def _acquire(self, services: Services, record: JobRecord, *, accepted: bool) -> JobInput:
        """Take control of the job; its input. `ClbalanceError` if another process controls it now.

        What it needs is read first: a job that cannot start again keeps its end.
        """
        stdin = input_of(services.journal, record.id, self.submitted)
        startable(services, record)
        reason, now = f"resumed by {me()}", services.clock.now()
        if not services.journal.acquire_again(record.id, reason, attempt=record.attempt, at=now, accepted=accepted):
            raise ClbalanceError(f"job {record.id} is now controlled by another process")
        if accepted or record.queued:
            record_requeued(services, record.id)
        return stdin

    def _carry_out(
        self, record: JobRecord, cluster: ClusterContext, listener: TaskListener
    ) -> tuple[TaskJobResult | Plan, str | None, bool]:
        """How it went; why the job is queued now, if it was not started; and whether its results are here."""
        submitted = self.submitted
        with cluster.services(meanwhile="clbalance.engine.tasks.task_run", needs_store=True) as services:
            stdin = self._acquire(services, record, accepted=False)
            fresh = services.journal.record(record.id) or record
            context = TaskRunContext(
                services=services,
                query=cluster.query_of(submitted.request),
                job=next_attempt(services, fresh),
                tasks=unfinished_tasks(services, fresh, again=True),
                rules=submitted.rules or TaskRules(),
                restart_policy=replace(submitted.restart_policy, after=()),
                stdin=stdin,
                listener=listener,
                queued=fresh.queued,
            )
            outcome = run_tasks_with_files(context, FilePatterns.of(submitted), is_watched=True)
            after = services.journal.record(fresh.id) if isinstance(outcome, Plan) else None
            is_whole = has_task_results_here(services, self.console, context.job, outcome)
        return outcome, None if after is None or not is_queued(after) else after.reason, is_whole
