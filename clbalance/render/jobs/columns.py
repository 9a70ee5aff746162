"""The columns of `jobs`, as `--columns` and `--order` name them."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Literal, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model.job_record import JobState
from clbalance.natural_order import natural_order
from clbalance.render.jobs.row import JobRow, instant
from clbalance.render.table import Cell, Column, Tone
from clbalance.render.text import DASH, Json, duration, iec, stamp

Value: TypeAlias = str | float | datetime | None


class Kind(Enum):
    """How people read a value."""

    TEXT = 1
    NUMBER = 2
    SPAN = 3
    SIZE = 4
    INSTANT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class JobColumn:
    """One column. `sacrifice`: as in `Column`, in the table that is shown without `--columns`."""

    value: Callable[[JobRow], Value]
    kind: Kind = Kind.TEXT
    sacrifice: int = 0
    is_optional: bool = False
    """Left out without `--columns` if no job has a value."""

    @property
    def align(self) -> Literal["left", "right"]:
        """Numbers and spans of time are aligned to the right."""
        return "right" if self.kind in {Kind.NUMBER, Kind.SPAN, Kind.SIZE} else "left"


COLUMNS: dict[str, JobColumn] = {
    "job": JobColumn(value=lambda row: row.typed or None, kind=Kind.TEXT),
    "name": JobColumn(value=lambda row: row.name),
    "user": JobColumn(value=lambda row: row.user, sacrifice=1),
    "state": JobColumn(value=lambda row: row.state),
    "code": JobColumn(value=lambda row: row.rc, kind=Kind.NUMBER, sacrifice=1, is_optional=True),
    "submitted": JobColumn(value=lambda row: row.submitted_at, kind=Kind.INSTANT, sacrifice=2, is_optional=True),
    "started": JobColumn(value=lambda row: row.started_at, kind=Kind.INSTANT, sacrifice=8, is_optional=True),
    "ended": JobColumn(value=lambda row: row.ended_at, kind=Kind.INSTANT, sacrifice=7, is_optional=True),
    "time": JobColumn(value=lambda row: row.seconds, kind=Kind.SPAN),
    "cputime": JobColumn(value=lambda row: row.cpu_s, kind=Kind.SPAN, sacrifice=5),
    "memused": JobColumn(
        value=lambda row: None if row.usage is None else row.usage.mem_bytes, kind=Kind.SIZE, sacrifice=5
    ),
    "maxrss": JobColumn(value=lambda row: None if row.final is None else row.final.max_rss_bytes, kind=Kind.SIZE),
    "cpus": JobColumn(
        value=lambda row: None if row.resources is None else row.resources.cpus,
        kind=Kind.NUMBER,
        sacrifice=9,
        is_optional=True,
    ),
    "mem": JobColumn(
        value=lambda row: None if row.resources is None else row.resources.mem_bytes or None,
        kind=Kind.SIZE,
        sacrifice=10,
        is_optional=True,
    ),
    "gpus": JobColumn(
        value=lambda row: None if row.resources is None else row.resources.devices,
        kind=Kind.NUMBER,
        sacrifice=6,
        is_optional=True,
    ),
    "attempt": JobColumn(value=lambda row: row.attempt, kind=Kind.NUMBER),
    "priority": JobColumn(value=lambda row: row.priority, kind=Kind.NUMBER),
    "qos": JobColumn(value=lambda row: row.qos),
    "tasks": JobColumn(
        value=lambda row: None if row.tasks is None else f"{row.tasks.count(JobState.COMPLETED)}/{row.tasks.total}"
    ),
    "key": JobColumn(value=lambda row: row.key),
    "nodes": JobColumn(value=lambda row: row.node_set),
    "command": JobColumn(value=lambda row: row.command),
    "reason": JobColumn(value=lambda row: row.remark),
}
"""By name, in the order of `--long`. docs/design/output.md lists them."""

LONG = tuple(name for name in COLUMNS if name != "key")
USUAL = (
    *("job", "name", "user", "state", "code", "submitted", "started", "ended", "time", "cpus", "mem", "gpus", "nodes"),
)
"""The columns without an option; the last one, of the command and the reason, follows them."""
USED = ("cputime", "memused")
"""They follow `time` if the usage of a job is known."""


def ordered(rows: Iterable[JobRow], order: Sequence[tuple[str, bool]]) -> list[JobRow]:
    """The rows by these columns, the first one first. Jobs without a value come last."""
    found = list(rows)
    for name, is_falling in reversed(order):
        value = COLUMNS[name].value
        known = [row for row in found if value(row) not in {None, ""}]
        known.sort(key=lambda row: _sort_key(value(row)), reverse=is_falling)
        found = known + [row for row in found if value(row) in {None, ""}]
    return found


def _sort_key(value: Value) -> tuple[list[str], float]:
    match value:
        case str():
            return natural_order(value), 0.0
        case datetime():
            return [], value.timestamp()
        case _:
            return [], value or 0.0


def plain_value(name: str, row: JobRow) -> Json:
    """A value for programs."""
    value = COLUMNS[name].value(row)
    return instant(value) if isinstance(value, datetime) else value


def head(name: str, *, sacrifice: int) -> Column:
    """The heading of a column."""
    return Column(heading=name.upper(), align=COLUMNS[name].align, sacrifice=sacrifice)


def cell(name: str, row: JobRow, now: datetime | None) -> Cell:
    """A value for people; `now` shortens times, None shows them in full."""
    text = _shown(COLUMNS[name], COLUMNS[name].value(row), now)
    return Cell(text, state_tone(row.state)) if name == "state" else Cell(text)


def _shown(column: JobColumn, value: Value, now: datetime | None) -> str:
    match value:
        case None | "":
            return DASH
        case datetime():
            return stamp(value, now)
        case str():
            return value
        case _ if column.kind is Kind.SPAN:
            return duration(value)
        case _ if column.kind is Kind.SIZE:
            return iec(value)
        case _:
            return f"{value:.12g}"


def state_tone(state: str) -> Tone:
    """The colour of a job's state."""
    match state:
        case JobState.COMPLETED:
            return Tone.GOOD
        case JobState.RUNNING:
            return Tone.PLAIN
        case JobState.PENDING:
            return Tone.QUIET
        case _:
            return Tone.BAD
