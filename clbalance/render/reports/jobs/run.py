"""How jobs and their copies ended; for `run`, `attach`, `logs`, `wait`, `cancel` and `requeue`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_record import JobRecord, JobState, Lost, Outcome
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import reason_of, run_exit_code
from clbalance.render.ends import OutcomeText, describe_outcome, describe_outcomes
from clbalance.render.output.streams import STREAMS
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, duration, finite

RUN_FIELDS = ("node", "state", "rc", "seconds", "reason")
"""The fields in plain text, a line for each copy."""

RESULT_FIELDS = ("id", "state", "rc", "node_set", "result", "reason")
"""The fields in plain text, a line for each job."""

Outputs: TypeAlias = Mapping[tuple[str, str], Json]
"""What was printed, by node or task, and stream."""

_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="STATE"),
    Column(heading="CODE", align="right"),
    Column(heading="TIME", align="right"),
    Column(heading="REASON"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport(Report):
    """One job after its end: `node_set` is folded, `outcomes` are in the order of the ranks."""

    id: int
    name: str
    node_set: str
    outcomes: tuple[Outcome, ...]
    attempt: int = 1
    is_folded: bool = False
    """For people: nodes that ended alike are one row."""

    def human(self, display: Display) -> str:
        rows = _folded_rows(self.outcomes) if self.is_folded else tuple(map(_row, self.outcomes))
        table = Table(columns=_COLUMNS, rows=rows)
        if not any(cells[-1].text for cells in rows):
            table = table.without(len(_COLUMNS) - 1)
        return display.table(table, last="fold")

    def plain(self) -> str:
        """The `RUN_FIELDS` of each copy."""
        ends = [(outcome, describe_outcome(outcome.end)) for outcome in self.outcomes]
        return plain_lines((outcome.node, end.state, end.rc, outcome.seconds, end.reason) for outcome, end in ends)

    def json(self) -> dict[str, Json]:
        return {"jobs": [_document(self.result())]}

    def result(self, outputs: Outputs | None = None) -> "JobResult":
        """The job as documents show it."""
        end = describe_outcomes(self.outcomes)
        is_known = not any(isinstance(one.end, Lost) for one in self.outcomes)
        return JobResult(
            id=self.id,
            name=self.name,
            state=end.state,
            reason=end.reason,
            node_set=self.node_set,
            rc=run_exit_code(self.outcomes) if is_known else None,
            attempt=self.attempt,
            copies=self.outcomes,
            outputs=outputs or {},
        )


def _row(outcome: Outcome) -> tuple[Cell, ...]:
    return _cells(outcome.node, describe_outcome(outcome.end), duration(outcome.seconds))


def _folded_rows(outcomes: Iterable[Outcome]) -> tuple[tuple[Cell, ...], ...]:
    """A row for each kind of end, the most frequent first, with the shortest and the longest time."""
    alike: dict[OutcomeText, list[Outcome]] = {}
    for outcome in outcomes:
        alike.setdefault(describe_outcome(outcome.end), []).append(outcome)
    groups = sorted(alike.items(), key=lambda group: -len(group[1]))
    return tuple(_cells(fold([one.node for one in some]), end, _times(some)) for end, some in groups)


def _times(outcomes: Sequence[Outcome]) -> str:
    seconds = [outcome.seconds for outcome in outcomes]
    shortest, longest = duration(min(seconds)), duration(max(seconds))
    return shortest if shortest == longest else f"{shortest} to {longest}"


def _cells(nodes: str, end: OutcomeText, time: str) -> tuple[Cell, ...]:
    return (
        Cell(nodes),
        Cell(end.state, Tone.GOOD if end.state == "COMPLETED" else Tone.BAD),
        Cell(DASH if end.rc is None else str(end.rc)),
        Cell(time),
        Cell(end.reason or ""),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What a verb has seen or made of one job."""

    id: int | None
    """None: it was submitted by another user, or elsewhere."""
    name: str
    state: str
    reason: str | None = None
    node_set: str = ""
    rc: int | None = None
    attempt: int = 1
    copies: Sequence[Outcome] = ()
    running: Mapping[int, NodeName] = field(default_factory=dict)
    """The nodes of copies that have no known end, by rank."""
    tasks: Sequence[Mapping[str, Json]] = ()
    """The document of each task, of a job of tasks."""
    outputs: Outputs = field(default_factory=dict)
    result: str | None = None
    """What `cancel` has done; None: it is another verb."""


def result_of(
    record: JobRecord, outcomes: Sequence[Outcome], outputs: Outputs | None = None, *, result: str | None = None
) -> JobResult:
    """A job as it is recorded, with what its nodes have answered."""
    silent = next((f"{one.node}: {reason_of(one.end)}" for one in outcomes if isinstance(one.end, Lost)), None)
    return JobResult(
        id=record.id,
        name=record.name,
        state=record.state.value,
        reason=record.reason or (f"unknown: {silent}" if silent else None),
        node_set=fold(record.nodes),
        rc=record.rc,
        attempt=record.attempt,
        copies=outcomes,
        running=_running(record, outcomes),
        outputs=outputs or {},
        result=result,
    )


def _running(record: JobRecord, outcomes: Sequence[Outcome]) -> dict[int, NodeName]:
    """None of a queued job: its last attempt is over."""
    if record.state is not JobState.RUNNING:
        return {}
    ended = {outcome.rank for outcome in outcomes}
    return {rank: node for rank, node in enumerate(record.nodes) if rank not in ended}


@dataclass(frozen=True, slots=True)
class JobResults(Report):
    """Jobs as documents. People have been told of them on standard error."""

    jobs: tuple[JobResult, ...]

    def human(self, display: Display) -> str:
        return ""

    def plain(self) -> str:
        """The `RESULT_FIELDS` of each job."""
        return plain_lines((one.id, one.state, one.rc, one.node_set, one.result, one.reason) for one in self.jobs)

    def json(self) -> dict[str, Json]:
        return {"jobs": [_document(one) for one in self.jobs]}


@dataclass(frozen=True, slots=True)
class NewJob(Report):
    """A job that was accepted and is left to itself: its number."""

    job: JobResult

    def human(self, display: Display) -> str:
        return f"{self.job.id}\n"

    def plain(self) -> str:
        return f"{self.job.id}\n"

    def json(self) -> dict[str, Json]:
        return {"jobs": [_document(self.job)]}


def _document(job: JobResult) -> Json:
    return {
        "id": job.id,
        "name": job.name,
        "state": job.state,
        "reason": job.reason,
        "node_set": job.node_set,
        "rc": job.rc,
        "attempt": job.attempt,
        "result": job.result,
        "copies": [
            *({**_copy(outcome), **_streams(job, outcome.node)} for outcome in job.copies),
            *({**_running_copy(rank, node), **_streams(job, node)} for rank, node in job.running.items()),
        ],
        "tasks": [{**task, **_streams(job, str(task["task"]))} for task in job.tasks],
    }


def _streams(job: JobResult, label: str) -> dict[str, Json]:
    """What a copy or a task has printed; null if that was not read."""
    return {stream: job.outputs.get((label, stream)) for stream in STREAMS}


def _running_copy(rank: int, node: NodeName) -> dict[str, Json]:
    unknown = dict.fromkeys(("reason", "rc", "signal", "seconds"))
    return {"node": node, "rank": rank, "state": JobState.RUNNING.value, **unknown, "warnings": []}


def _copy(outcome: Outcome) -> dict[str, Json]:
    end = describe_outcome(outcome.end)
    return {
        "node": outcome.node,
        "rank": outcome.rank,
        "state": end.state,
        "reason": end.reason,
        "rc": end.rc,
        "signal": end.signal,
        "seconds": finite(outcome.seconds),
        "warnings": list(outcome.warnings),
    }
