"""Tasks with every kind of end, and commands that would speak to the terminal."""

from datetime import UTC, datetime

from clbalance.model import Cause, NodeName
from clbalance.model.job_record import Cancelled, End, Exited, Killed, Lost, TimedOut
from clbalance.model.task import Task, TaskRecord
from clbalance.render.report import Report
from clbalance.render.reports.jobs.tasks import TasksReport, task_row
from tests.render.examples import Example

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(number: int, command: str, end: End | None = None, *, given: bool = True) -> TaskRecord:
    task = Task(number=number, words=(command,) if command else ())
    if not given:
        return TaskRecord(task=task)
    node = NodeName(f"node{number}")
    return TaskRecord(task=task, node=node, claim=1, end=end, seconds=2.5, at=None if end is None else NOON)


RECORDS = (
    record(1, "make -C /srv/app", Exited(rc=0)),
    record(2, "grep -c [red]x[/red] $'\x1b[31m' \x9b2J \u202e", Exited(rc=1)),
    record(3, "", Killed(signal=9)),
    record(4, "sleep 300", TimedOut(limit_s=2.5)),
    record(5, "a\ttab and a\rreturn, and a line that is longer than anybody wants to read of it", Cancelled(reason="by [b]u")),
    record(6, "\udcff", Lost(cause=Cause.HUNG, reason="")),
    record(7, "runs"),
    record(1_000_000, "waits", given=False),
)  # fmt: skip
ROWS = [task_row(one) for one in RECORDS]
EXAMPLES = (Example("tasks", (TasksReport(ROWS),)),)


def hostile(one: str, other: str) -> list[Report]:
    record = TaskRecord(
        task=Task(number=1, words=(one, other)), node=NodeName(one), claim=1, end=Cancelled(reason=other), seconds=1.0
    )
    return [TasksReport([task_row(record)])]
