"""`jobs --tasks`: the tasks of a job; and the progress of a run of tasks."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import JobState
from clbalance.model.task import TaskProgress, TaskRecord
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import code_of, reason_of
from clbalance.policy.jobs.task_records import state_of_task
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, duration

TASK_FIELDS = ("task", "state", "node", "rc", "seconds", "started_at", "reason", "command")
"""The fields in plain text, a line for each task."""

_MOST_FAILED = 20
"""Failed tasks in the summary; `clbalance jobs JOB --tasks` shows all."""

_COLUMNS = (
    Column(heading="TASK", align="right"),
    Column(heading="STATE"),
    Column(heading="NODE"),
    Column(heading="CODE", align="right"),
    Column(heading="TIME", align="right", sacrifice=1),
    Column(heading="COMMAND"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task."""

    task: int
    state: JobState
    node: str | None
    rc: int | None
    seconds: float | None
    started_at: datetime | None
    reason: str
    command: str
    """Its command line; empty in an array, where all are the same."""


def task_row(record: TaskRecord) -> TaskRow:
    """The row of one task."""
    end = record.end
    started_at = None if record.at is None else record.at - timedelta(seconds=record.seconds)
    return TaskRow(
        task=record.task.number,
        state=state_of_task(record),
        node=record.node,
        rc=None if end is None else code_of(end),
        seconds=None if end is None else record.seconds,
        started_at=started_at,
        reason="" if end is None else reason_of(end),
        command=" ".join(record.task.words),
    )


@dataclass(frozen=True, slots=True)
class TasksReport(Report):
    """Tasks of one job."""

    rows: Sequence[TaskRow]

    def human(self, display: Display) -> str:
        return display.table(Table(columns=_COLUMNS, rows=tuple(map(_cells, self.rows))), last="cut")

    def plain(self) -> str:
        """The `TASK_FIELDS` of each task."""
        return plain_lines((document[field] for field in TASK_FIELDS) for document in map(task_document, self.rows))

    def json(self) -> dict[str, Json]:
        return {"tasks": [task_document(row) for row in self.rows]}


def failed_rows(rows: Sequence[TaskRow]) -> list[TaskRow]:
    """The first `_MOST_FAILED` tasks that were started and are not completed."""
    others = {JobState.COMPLETED, JobState.PENDING}
    return [row for row in rows if row.state not in others][:_MOST_FAILED]


def progress_line(progress: TaskProgress) -> str:
    """Such as "1203/2000 tasks, 64 running, 3 failed, 0:42 left"."""
    parts = [f"{progress.done}/{progress.total} tasks", f"{progress.running} running"]
    parts += [f"{progress.failed} failed"] if progress.failed else []
    parts += [] if progress.left_s is None else [f"{duration(progress.left_s)} left"]
    parts += [f"waiting for {fold(progress.awaited)}"] if progress.awaited else []
    return ", ".join(parts)


def task_document(row: TaskRow) -> dict[str, Json]:
    """One task as JSON."""
    return {
        "task": row.task,
        "state": row.state.value,
        "node": row.node,
        "rc": row.rc,
        "seconds": row.seconds,
        "started_at": None if row.started_at is None else row.started_at.isoformat(),
        "reason": row.reason or None,
        "command": row.command,
    }


def _cells(row: TaskRow) -> tuple[Cell, ...]:
    good = row.state is JobState.COMPLETED
    tone = Tone.GOOD if good else Tone.QUIET if row.state is JobState.PENDING else Tone.BAD
    message = f"{row.command}  ({row.reason})" if row.reason and row.command else row.command or row.reason
    return (
        Cell(str(row.task)),
        Cell(row.state.value, tone),
        Cell(row.node or DASH),
        Cell(DASH if row.rc is None else str(row.rc)),
        Cell(DASH if row.seconds is None else duration(row.seconds)),
        Cell(message),
    )
