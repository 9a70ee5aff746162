"""`show`: everything that is known of a job."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.model.job import STANDARD_INPUT, Submitted
from clbalance.model.job_files import ReturnState
from clbalance.model.job_record import CopyRecord, JobRecord, JobState, MigrationRequest, Placed
from clbalance.nodeset import fold
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.jobs.usage import JobUsage
from clbalance.render.ends import describe_outcome
from clbalance.render.jobs.columns import state_tone
from clbalance.render.jobs.details import (
    constraints_text,
    limits_text,
    request_document,
    request_text,
    restart_text,
    submitted_document,
)
from clbalance.render.jobs.limits import job_limits, limits_document, limits_lines
from clbalance.render.jobs.row import FileFacts, JobRow, instant, job_document
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table
from clbalance.render.text import DASH, Json, duration, escape_line, finite, iec, stamp
from clbalance.units import counted

_COPY_COLUMNS = (
    Column(heading="ATTEMPT", align="right"),
    Column(heading="NODE"),
    Column(heading="STATE"),
    Column(heading="CODE", align="right"),
    Column(heading="TIME", align="right"),
    Column(heading="CPUTIME", align="right", sacrifice=1),
    Column(heading="MAXRSS", align="right", sacrifice=1),
    Column(heading="REASON"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetails:
    """One job: its row, and the records that the row was made from."""

    row: JobRow
    record: JobRecord
    submitted: Submitted | None
    """None: another version of the program has written it."""
    copies: tuple[CopyRecord, ...]
    placed: tuple[Placed, ...]
    usage: JobUsage
    paths: tuple[str, ...] = ()
    """The output files of its last attempt; of a job of tasks their pattern."""
    waits_for: Mapping[int, JobState | None] | None = None
    """The jobs that must be completed before it, with their states; None: that job is not remembered."""
    gives_up_at: datetime | None = None
    """When it has waited as long as it may; None: it waits as long as it takes, or waits no more."""
    migration: MigrationRequest | None = None


@dataclass(frozen=True, slots=True)
class ShowReport(Report):
    """Jobs, one after the other. Times are shown as they are, with their own time zone."""

    jobs: Sequence[JobDetails]

    def human(self, display: Display) -> str:
        return "\n".join(_job_text(job, display) for job in self.jobs)

    def plain(self) -> str:
        """A line for each fact: the job, the name of the fact as a path of JSON keys, and its value."""
        return plain_lines((job.row.id, path, value) for job in self.jobs for path, value in _flat(_document(job)))

    def json(self) -> dict[str, Json]:
        return {"jobs": [_document(job) for job in self.jobs]}


def _job_text(job: JobDetails, display: Display) -> str:
    facts = [(name, text) for name, text in _facts(job) if text]
    width = max(len(name) for name, _ in facts)
    lines = [f"job {job.row.id}: {job.row.name}", *(f"  {name.ljust(width)}  {text}" for name, text in facts)]
    text = "".join(f"{escape_line(line)}\n" for line in lines)
    # A slot is COMPLETED when it has run its tasks, however these ended. That would only confuse.
    copies = [copy for copy in job.copies if job.row.tasks is None or not _is_completed(copy)]
    if copies:
        unended = "UNKNOWN" if job.record.state.is_over else "RUNNING"
        rows = tuple(_copy_cells(copy, unended) for copy in copies)
        text += display.table(Table(columns=_COPY_COLUMNS, rows=rows), last="fold")
    return text


def _is_completed(copy: CopyRecord) -> bool:
    return copy.outcome is not None and describe_outcome(copy.outcome.end).state == JobState.COMPLETED


def _facts(job: JobDetails) -> Iterator[tuple[str, str]]:
    row, submitted = job.row, job.submitted
    code = "" if row.rc is None else f", exit code {row.rc}"
    yield "state", f"{row.state}{code}" + (f": {row.remark}" if row.remark else "")
    if row.tasks is not None:
        slots = sum(copy.attempt == row.attempt for copy in job.copies)
        told = f"{row.tasks.total}, on {counted(slots, 'slot')}" if slots else f"{row.tasks.total}"
        yield "tasks", f"{told}; `clbalance jobs {row.id} --tasks` shows each"
    yield "owner", row.user + (f", as {submitted.job.user} on its nodes" if submitted and submitted.job.user else "")
    yield "account", "" if submitted is None else submitted.account
    yield "key", row.key
    yield "command", row.command
    if submitted is not None:
        yield "directory", f"{submitted.job.chdir} (submitted on {submitted.job.submit_host})"
        yield (
            "input",
            "standard input of `run`" if submitted.stdin_path == STANDARD_INPUT else submitted.stdin_path or "",
        )
        yield "environment", " ".join(sorted(submitted.job.env))
    yield from _times(job)
    yield from _where(job)
    if submitted is not None:
        yield "request", request_text(submitted.request, is_of_tasks=submitted.rules is not None)
        yield "constraints", constraints_text(submitted.request)
        yield "limits", limits_text(submitted)
    for line in limits_lines(job_limits(row.qos, job.copies)):
        name, _, text = line.partition(": ")
        yield name, text
    yield from _waiting(job)
    yield "usage", _usage_text(job)
    yield from _output(job)
    yield from _job_files(job.row.files)
    yield "restart", restart_text(submitted.restart_policy) if submitted is not None else ""
    yield "notify", "" if submitted is None else submitted.notify or ""


def _times(job: JobDetails) -> Iterator[tuple[str, str]]:
    row = job.row
    for name, at in (("submitted", row.submitted_at), ("started", row.started_at), ("ended", row.ended_at)):
        yield name, "" if at is None else f"{stamp(at)} {at:%Z}".rstrip()
    yield "time", "" if row.seconds is None else duration(row.seconds)
    yield "attempt", str(row.attempt)


def _where(job: JobDetails) -> Iterator[tuple[str, str]]:
    yield "nodes", job.row.node_set
    if job.submitted is None:
        return
    group = f" (group {job.submitted.group})" if job.submitted.group else ""
    policy = f", policy {job.submitted.policy}" if job.submitted.policy else ""
    yield "candidates", f"{fold(job.submitted.candidates)}{group}{policy}"
    yield "placed", _placed_text(job.placed[-1].plan, job.row.id) if job.placed else ""


def _placed_text(plan: Plan, number: int | None) -> str:
    """Such as "on node[1-2] with 70.5 to 84.2 points", and who says why."""
    points = sorted(score.total for score in plan.ranked if score.node in set(plan.nodes))
    if not points:
        return f"nowhere so far; `clbalance explain {number}` says why"
    lowest, highest = f"{points[0]:.1f}", f"{points[-1]:.1f}"
    with_points = highest if lowest == highest else f"{lowest} to {highest}"
    return f"on {fold(plan.nodes)} with {with_points} points of 100; `clbalance explain {number}` says why"


def _waiting(job: JobDetails) -> Iterator[tuple[str, str]]:
    before = [f"job {number} ({state or 'not remembered'})" for number, state in (job.waits_for or {}).items()]
    yield "held", f"by {job.record.held}" if job.record.held else ""
    yield "not before", "" if job.record.begin_at is None else stamp(job.record.begin_at)
    yield "after", ", ".join(before)
    yield "priority", f"{job.row.priority:g}" if job.row.priority else ""
    yield "waits until", "" if job.gives_up_at is None else stamp(job.gives_up_at)
    if job.migration is not None:
        yield "migration", f"to {job.migration.dst}: {job.migration.stage.name.lower()}: {job.migration.reason}"
    yield "cancel", f"asked for: {job.record.cancel_requested}" if job.record.cancel_requested else ""
    if job.record.has_controller:
        yield "controller", "running on this host"
    elif is_queued(job.record):
        starts = f"release {job.row.id}` lets it start" if job.record.held else "rebalance --apply` starts it"
        yield "controller", f"none; `clbalance {starts}"


def _usage_text(job: JobDetails) -> str:
    usage, request = job.usage, None if job.submitted is None else job.submitted.request
    cpus = (
        ""
        if request is None or usage.cpu_share is None
        else f" ({usage.cpu_share:.0%} of {counted(request.cpus, 'cpu')})"
    )
    share = (
        "" if request is None or usage.mem_share is None else f" ({usage.mem_share:.0%} of {iec(request.mem_bytes)})"
    )
    parts = [] if usage.cpu_s is None else [f"{duration(usage.cpu_s)} of cpu time{cpus}"]
    if usage.mem_bytes is not None:
        parts.append(f"{iec(usage.mem_bytes)} of memory now{share}")
    if usage.max_rss_bytes is not None:
        parts.append(f"{iec(usage.max_rss_bytes)} at most in one process{share}")
    return ", ".join(parts)


def _output(job: JobDetails) -> Iterator[tuple[str, str]]:
    output = job.row.output
    if output is None:
        yield "output", f"`clbalance logs {job.row.id}` shows what its nodes keep of it" if job.copies else ""
        return
    state = output.state.value + (f": {output.reason}" if output.reason else "")
    yield "output", f"{', '.join(job.paths)} ({state})"


def _job_files(facts: FileFacts | None) -> Iterator[tuple[str, str]]:
    if facts is None:
        return
    files = facts.files
    sent = (*files.sent, *files.sent_to_tasks)
    yield "sends", ", ".join(f"{one.name} ({counted(one.files, 'file')}, {iec(one.size_bytes)})" for one in sent)
    yield "returns", f"{' '.join(files.returned)} to {files.into}" if files.returned else ""
    for one in facts.returns if files.returned else ():
        came = f"{counted(one.files, 'file')}, {iec(one.size_bytes)}" if one.state is ReturnState.COMPLETE else ""
        yield "returned", "; ".join(filter(None, (f"from {one.node}: {came or one.state.value}", one.reason)))


def _copy_cells(copy: CopyRecord, unended: str) -> tuple[Cell, ...]:
    outcome = copy.outcome
    if outcome is None:
        cells = [Cell(unended), *[Cell(DASH)] * 4, Cell("")]
    else:
        end, usage = describe_outcome(outcome.end), outcome.usage
        cells = [
            Cell(end.state, state_tone(end.state)),
            Cell(DASH if end.rc is None else str(end.rc)),
            Cell(duration(outcome.seconds)),
            Cell(DASH if usage is None else duration(usage.cpu_s)),
            Cell(DASH if usage is None else iec(usage.max_rss_bytes)),
            Cell("; ".join(filter(None, (end.reason, *outcome.warnings)))),
        ]
    return (Cell(str(copy.attempt)), Cell(copy.intent.node), *cells)


def _document(job: JobDetails) -> dict[str, Json]:
    submitted, usage = job.submitted, job.usage
    return {
        **job_document(job.row),
        **({} if submitted is None else submitted_document(submitted)),
        **({} if submitted is None else {"request": request_document(submitted.request)}),
        "after": [{"id": number, "state": state} for number, state in (job.waits_for or {}).items()],
        "held": job.record.held or None,
        "begin_at": instant(job.record.begin_at),
        "gives_up_at": instant(job.gives_up_at),
        "queued": is_queued(job.record),
        "has_controller": job.record.has_controller,
        "cancel_requested": job.record.cancel_requested or None,
        "migration": _migration_document(job.migration),
        **limits_document(job_limits(job.row.qos, job.copies)),
        "usage": {
            "cpu_s": usage.cpu_s,
            "mem_bytes": usage.mem_bytes,
            "max_rss_bytes": usage.max_rss_bytes,
            "cpu_share": finite(usage.cpu_share),
            "mem_share": finite(usage.mem_share),
        },
        "files": list(job.paths),
        "placed": [_placed_document(one) for one in job.placed],
        "copies": [_copy_document(copy) for copy in job.copies],
    }


def _migration_document(migration: MigrationRequest | None) -> Json:
    if migration is None:
        return None
    return {"dst": migration.dst, "stage": migration.stage.name.lower(), "reason": migration.reason}


def _placed_document(placed: Placed) -> Json:
    return {"attempt": placed.attempt, "node_set": fold(placed.plan.nodes)}


def _copy_document(copy: CopyRecord) -> Json:
    outcome = copy.outcome
    facts: dict[str, Json] = {"attempt": copy.attempt, "node": copy.intent.node, "rank": copy.intent.rank}
    keys = ("state", "rc", "signal", "reason", "seconds", "user_s", "system_s", "max_rss_bytes")
    if outcome is None:
        return {**facts, **dict.fromkeys(keys), "warnings": []}
    end, usage = describe_outcome(outcome.end), outcome.usage
    spent = (None, None, None) if usage is None else (usage.user_s, usage.system_s, usage.max_rss_bytes)
    values = (end.state, end.rc, end.signal, end.reason, finite(outcome.seconds), *spent)
    return {**facts, **dict(zip(keys, values, strict=True)), "warnings": list(outcome.warnings)}


def _flat(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Each value in a document, with its path, such as `request.cpus` or `copies.0.node`."""
    match value:
        case Mapping():
            parts: Iterator[tuple[str, Json]] = ((key, part) for key, part in value.items())
        case list():
            parts = ((str(at), part) for at, part in enumerate(value))
        case _:
            yield path, value
            return
    for key, part in parts:
        yield from _flat(part, f"{path}.{key}" if path else key)
