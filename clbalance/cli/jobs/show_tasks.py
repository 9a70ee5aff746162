"""Carry out `jobs --tasks`: the state of each task of a job."""

from collections.abc import Sequence

from clbalance.cli.console import Console
from clbalance.cli.job_selection import named_jobs, open_job_services
from clbalance.cli.options import ReachOptions
from clbalance.engine.jobs.conclude_tasks import recorded_tasks
from clbalance.engine.jobs.submitted import refresh
from clbalance.errors import ExitCode, UsageError
from clbalance.model.job_record import Lost
from clbalance.policy.jobs.outcome import reason_of
from clbalance.render import messages
from clbalance.render.reports.jobs.tasks import TasksReport, task_row


def show_tasks(words: Sequence[str], ssh: ReachOptions, console: Console) -> int:
    """The exit code of `clbalance jobs --tasks`."""
    with open_job_services(ssh, console) as services:
        jobs = named_jobs(services.journal, words)
        if len(jobs) > 1:
            raise UsageError("`--tasks` shows those of one job", hint="name one of them")
        (seen,) = refresh(services, jobs)
        number = seen.record.id
        records = recorded_tasks(services.journal, number)
    if not records:
        raise UsageError(f"job {number} is not a job of tasks")
    console.show(TasksReport([task_row(record) for record in records]))
    silent = {outcome.node: outcome.end for outcome in seen.outcomes if isinstance(outcome.end, Lost)}
    for node, end in silent.items():
        console.say(messages.warning(f"{node}: {reason_of(end)}"))
    return ExitCode.SOME_NODES_FAILED if silent else ExitCode.DONE
