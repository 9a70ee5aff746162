"""Tell on stderr how jobs of tasks have ended, and how each of several jobs has; for `run` and `wait`."""

from collections.abc import Sequence

from clbalance.cli.console import Console
from clbalance.model.job_record import JobState
from clbalance.model.task import TaskRecord
from clbalance.policy.jobs.task_records import summary_of
from clbalance.render import messages
from clbalance.render.jobs.row import JobRow
from clbalance.render.reports.jobs.jobs import JobsReport
from clbalance.render.reports.jobs.tasks import TasksReport, failed_rows, task_row

_COLUMNS = ("job", "name", "state", "code", "time", "nodes", "reason")


def tell_tasks(console: Console, records: Sequence[TaskRecord], text: str) -> None:
    """Show failed tasks and a line with their counts; with `-q`, that only if not all tasks are completed."""
    if failed := failed_rows([task_row(one) for one in records]):
        console.show_aside(TasksReport(failed))
    summary = summary_of(records)
    tell = console.say if summary.count(JobState.COMPLETED) == summary.total else console.complain
    tell(messages.note(text))


def tell_jobs(console: Console, rows: Sequence[JobRow]) -> None:
    """Show a line for each job; with `-q`, only for those that are not completed."""
    if not console.quiet:
        console.show_aside(JobsReport(rows, columns=_COLUMNS))
        return
    for row in rows:
        if row.state != JobState.COMPLETED:
            code = f" with exit code {row.rc}" if row.rc and not row.remark else ""
            console.complain(
                messages.note(f"job {row.id}: {row.state}{code}" + (f": {row.remark}" if row.remark else ""))
            )
