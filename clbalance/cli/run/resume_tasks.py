"""Carry out `run --resume`: run the tasks of a job again that failed or were not started."""

import contextlib
from collections.abc import Callable
from dataclasses import replace

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.job_selection import as_submitted, me, one_job, open_job_services, place_again, restartable_job
from clbalance.cli.options import SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.cli.output.job_files import FilePatterns
from clbalance.cli.run.background import run_detached
from clbalance.cli.run.job_input import input_of
from clbalance.cli.run.run_tasks import report_tasks, run_tasks_with_files
from clbalance.cli.run.task_progress import ShownTasks
from clbalance.engine.agent.listeners import NullTaskListener
from clbalance.engine.jobs.submitted import next_attempt
from clbalance.engine.services import Services
from clbalance.engine.tasks.assignments import TaskRunContext
from clbalance.engine.tasks.run_tasks import TaskJobResult
from clbalance.errors import ClbalanceError, ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.model.job import Submitted, TaskRules
from clbalance.model.job_record import JobRecord
from clbalance.model.task import Task
from clbalance.policy.jobs.task_records import is_done, task_records
from clbalance.ports import TaskListener
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
    if detach:
        number = run_detached(resumed.in_background)
        console.print("" if number is None else f"{number}\n")
        return ExitCode.DONE
    return resumed.here()


def unfinished_tasks(services: Services, record: JobRecord) -> tuple[Task, ...]:
    """The tasks of a job that are not completed."""
    records = task_records(services.journal.tasks(record.id), services.journal.task_log(record.id).events())
    return tuple(one.task for one in records if not is_done(one))


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
        with contextlib.closing(ShownTasks(self.console, None, cluster.candidates, len(left))) as shown:
            outcome = self._carry_out(record, cluster, shown, is_watched=True)
        return report_tasks(outcome, cluster, shown)

    def in_background(self, announce: Callable[[int], None]) -> None:
        """The work of the detached controller: only this process asks nodes."""
        record, left = self._unfinished()
        if left:
            cluster = place_again(self.submitted, self.ssh, self.console)
            self._carry_out(record, cluster, NullTaskListener(), announce, is_watched=False)

    def _unfinished(self) -> tuple[JobRecord, tuple[Task, ...]]:
        """The job, which runs nowhere, and its unfinished tasks; `UsageError` if it may still run."""
        with open_job_services(self.ssh, self.console) as services:
            record = restartable_job(services, self.named, self.console, node_is_dead=self.node_is_dead)
            complete_outputs(services, self.console)  # before a task runs again whose output is in a file
            left = unfinished_tasks(services, record)
        if not left:
            self.console.say(messages.note(f"job {record.id}: all its tasks are completed"))
        return record, left

    def _carry_out(
        self,
        record: JobRecord,
        cluster: ClusterContext,
        listener: TaskListener,
        announce: Callable[[int], None] = lambda _: None,
        *,
        is_watched: bool,
    ) -> TaskJobResult | Plan:
        """Raises `ClbalanceError` if another process controls the job by now."""
        submitted = self.submitted
        with cluster.services(meanwhile="clbalance.engine.tasks.task_run", needs_store=True) as services:
            if not services.journal.acquire(record.id, f"resumed by {me()}", attempt=record.attempt):
                raise ClbalanceError(f"job {record.id} is controlled by another process now")
            fresh = services.journal.record(record.id) or record
            announce(fresh.id)
            context = TaskRunContext(
                services=services,
                query=cluster.query_of(submitted.request),
                job=next_attempt(services, fresh),
                tasks=unfinished_tasks(services, fresh),
                rules=submitted.rules or TaskRules(),
                restart_policy=replace(submitted.restart_policy, after=()),
                stdin=input_of(services.journal, fresh.id, submitted),
                listener=listener,
            )
            files = FilePatterns.of(submitted)
            return run_tasks_with_files(context, files, submitted.notify, is_watched=is_watched)
