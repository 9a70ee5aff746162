"""`jobs`: a line for each job."""

from collections.abc import Sequence
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Qos
from clbalance.model.job import OutputState
from clbalance.model.job_record import JobRecord, JobState, Lost, Outcome, Usage
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import reason_of
from clbalance.policy.jobs.record import is_queued
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, duration, finite, iec

USAGE_FIELDS = ("cpu_s", "mem_bytes")
"""The usage of a running job: CPU seconds, bytes of memory."""

_FIRST_FIELDS = ("id", "name", "state", "node_set", "rc", "seconds", "attempt", "user", "reason")
JOBS_FIELDS = (*_FIRST_FIELDS, *USAGE_FIELDS, "qos", "job")
"""The fields in plain text, a line for each job. `job`: what `cancel` and `logs` take for it."""

_COLUMNS = (
    Column(heading="JOB", align="right"),
    Column(heading="NAME"),
    Column(heading="USER", sacrifice=2),
    Column(heading="STATE"),
    Column(heading="CODE", align="right", sacrifice=1),
    Column(heading="TIME", align="right"),
    Column(heading="NODES"),
    Column(heading="REASON"),
)
_USAGE_COLUMNS = (Column(heading="CPU", align="right"), Column(heading="MEM", align="right"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFacts:
    """The output files of a job, as patterns, and the state of those of its last attempt."""

    output: str | None
    error: str | None
    state: OutputState = OutputState.PENDING
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job. `id` is None if it was submitted on another host or by another user."""

    id: int | None
    name: str
    user: str
    state: str
    reason: str
    rc: int | None
    node_set: str
    seconds: float | None
    """From its start to its end, or until now; None: not started."""
    attempt: int
    qos: Qos | None = None
    """None: not known."""
    priority: float | None = None
    """None: not known."""
    usage: Usage | None = None
    """None: not asked for, or the nodes did not answer."""
    output: OutputFacts | None = None
    """None: it has no output files, or was submitted on another host."""
    elsewhere: str = ""
    """What to type for it, if `id` is None."""

    @property
    def typed(self) -> str:
        """What `cancel` and `logs` take for it."""
        return self.elsewhere if self.id is None else str(self.id)


def job_row(record: JobRecord, outcomes: Sequence[Outcome], *, user: str, now: datetime) -> JobRow:
    """The row of a job of this host."""
    # The last attempt of a queued job is over: the job runs on no node.
    is_nowhere = is_queued(record)
    begun, until = None if is_nowhere else record.started_at, record.ended_at or now
    return JobRow(
        id=record.id,
        name=record.name,
        user=user,
        state=record.state.value,
        reason=_reason(record, outcomes),
        rc=record.rc,
        node_set="" if is_nowhere else fold(record.nodes),
        seconds=None if begun is None else max(0.0, (until - begun).total_seconds()),
        attempt=record.attempt,
        qos=record.qos,
        priority=record.priority,
    )


def _reason(record: JobRecord, outcomes: Sequence[Outcome]) -> str:
    """A cancel that waits, else the job's own reason, else that a node did not answer."""
    silent = next((f"{one.node}: {reason_of(one.end)}" for one in outcomes if isinstance(one.end, Lost)), "")
    if record.cancel_requested and not record.state.is_over:
        return f"cancel asked for, node does not answer: {silent}" if silent else "cancel asked for"
    return record.reason or (f"unknown: {silent}" if silent else "")


@dataclass(frozen=True, slots=True)
class JobsReport(Report):
    """Jobs in the order shown."""

    rows: Sequence[JobRow]

    def human(self, display: Display) -> str:
        table = Table(columns=_COLUMNS, rows=tuple(map(_cells, self.rows)))
        usages = [row.usage for row in self.rows]
        return display.table(_with_usage(table, usages, behind="TIME"), last="fold")

    def plain(self) -> str:
        """The `JOBS_FIELDS` of each job."""
        return plain_lines((document[field] for field in JOBS_FIELDS) for document in map(_document, self.rows))

    def json(self) -> dict[str, Json]:
        return {"jobs": [_document(row) for row in self.rows]}


def _document(row: JobRow) -> dict[str, Json]:
    """One job as JSON (docs/design/output.md)."""
    return {
        "id": row.id,
        "job": row.typed or None,
        "name": row.name,
        "user": row.user,
        "state": row.state,
        "reason": row.reason or None,
        "rc": row.rc,
        "node_set": row.node_set,
        "seconds": finite(row.seconds),
        "attempt": row.attempt,
        "qos": row.qos,
        "priority": row.priority,
        **_usage_document(row.usage),
        "output": None if row.output is None else _output_document(row.output),
    }


def _output_document(output: OutputFacts) -> dict[str, Json]:
    return {
        "stdout": output.output,
        "stderr": output.error,
        "complete": output.state is OutputState.COMPLETE,
        "state": output.state.value,
        "reason": output.reason or None,
    }


def _cells(row: JobRow) -> tuple[Cell, ...]:
    return (
        Cell(row.typed or DASH),
        Cell(row.name[:24]),
        Cell(row.user),
        Cell(row.state, _tone(row.state)),
        Cell(DASH if row.rc is None else str(row.rc)),
        Cell(DASH if row.seconds is None else duration(row.seconds)),
        Cell(row.node_set or DASH),
        Cell(row.reason),
    )


def _tone(state: str) -> Tone:
    match state:
        case JobState.COMPLETED:
            return Tone.GOOD
        case JobState.RUNNING:
            return Tone.PLAIN
        case JobState.PENDING:
            return Tone.QUIET
        case _:
            return Tone.BAD


def _with_usage(table: Table, usages: Sequence[Usage | None], *, behind: str) -> Table:
    """The table with two more columns after `behind`, if any row has a usage."""
    if not any(usages):
        return table
    at = [column.heading for column in table.columns].index(behind) + 1
    return Table(
        columns=(*table.columns[:at], *_USAGE_COLUMNS, *table.columns[at:]),
        rows=tuple((*row[:at], *_usage_cells(usage), *row[at:]) for row, usage in zip(table.rows, usages, strict=True)),
    )


def _usage_document(usage: Usage | None) -> dict[str, Json]:
    """Both keys; null if unknown."""
    if usage is None:
        return dict.fromkeys(USAGE_FIELDS)
    return {"cpu_s": usage.cpu_s, "mem_bytes": usage.mem_bytes}


def _usage_cells(usage: Usage | None) -> tuple[Cell, Cell]:
    if usage is None:
        return Cell(DASH), Cell(DASH)
    return Cell(duration(usage.cpu_s)), Cell(iec(usage.mem_bytes))
