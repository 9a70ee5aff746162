"""What `jobs` shows: one line for each job."""

from collections.abc import Sequence
from datetime import datetime

from clbalance.job import JobRecord, JobState, Lost, Outcome, OutputState, Usage
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Qos
from clbalance.nodes import fold
from clbalance.policy.settling import is_queued
from clbalance.policy.verdict import reason_of
from clbalance.render.figures import DASH, duration
from clbalance.render.job_usage import USAGE_FIELDS, usage_document, with_usage
from clbalance.render.json_value import Json
from clbalance.render.table import Cell, Column, Table, Tone

JOBS_FIELDS = ("id", "name", "state", "node_set", "rc", "seconds", "attempt", "user", "reason", *USAGE_FIELDS, "qos")
"""Of `jobs` in plain text."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFacts:
    """The files that a job has named for its output, and how far those of its last attempt are written."""

    output: str | None
    error: str | None
    state: OutputState = OutputState.PENDING
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One job. `id` is None where another host, or another user, has given it its number."""

    id: int | None
    name: str
    user: str
    state: str
    reason: str
    rc: int | None
    node_set: str
    seconds: float | None
    """From its start to its end, or until now."""
    attempt: int
    qos: Qos | None = None
    """None: not known."""
    priority: float | None = None
    """None: not known."""
    usage: Usage | None = None
    """None: nobody asked, or its nodes did not tell."""
    output: OutputFacts | None = None
    """None: it has named no file, or another host knows."""


def job_row(record: JobRecord, outcomes: Sequence[Outcome], *, user: str, now: datetime) -> JobRow:
    """A job of this host. Where a node does not answer, that is what is to be said of it."""
    silent = [outcome for outcome in outcomes if isinstance(outcome.end, Lost)]
    unknown = f"unknown: {silent[0].node}: {reason_of(silent[0].end)}" if silent else ""
    # Of one that waits in the queue the last attempt is over: it is nowhere.
    is_nowhere = is_queued(record)
    begun, until = None if is_nowhere else record.started_at, record.ended_at or now
    return JobRow(
        id=record.id,
        name=record.name,
        user=user,
        state=record.state.value,
        reason=record.reason or unknown,
        rc=record.rc,
        node_set="" if is_nowhere else fold(record.nodes),
        seconds=None if begun is None else max(0.0, (until - begun).total_seconds()),
        attempt=record.attempt,
        qos=record.qos,
        priority=record.priority,
    )


def jobs_table(rows: Sequence[JobRow]) -> Table:
    """As people read it."""
    table = Table(columns=_COLUMNS, rows=tuple(map(_cells, rows)))
    return with_usage(table, [row.usage for row in rows], behind="TIME")


def job_document(row: JobRow) -> dict[str, Json]:
    """As programs read it (docs/design/output.md)."""
    return {
        "id": row.id,
        "name": row.name,
        "user": row.user,
        "state": row.state,
        "reason": row.reason or None,
        "rc": row.rc,
        "node_set": row.node_set,
        "seconds": row.seconds,
        "attempt": row.attempt,
        "qos": row.qos,
        "priority": row.priority,
        **usage_document(row.usage),
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
        Cell(DASH if row.id is None else str(row.id)),
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
