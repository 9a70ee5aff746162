"""One job as `jobs`, `show` and `wait` show it, and its JSON."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, NodeName, Qos, Request
from clbalance.model.job import OutputState
from clbalance.model.job_files import JobFiles, ReturnRecord, ReturnState
from clbalance.model.job_record import FinalUsage, JobRecord, JobState, Lost, Outcome, Usage
from clbalance.model.task import TaskSummary
from clbalance.nodeset import fold
from clbalance.policy.gpu_users import ShareExcess
from clbalance.policy.jobs.eligibility import late_start, pending_reason
from clbalance.policy.jobs.outcome import reason_of
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.jobs.task_records import counts_and_reason
from clbalance.policy.jobs.usage import total_usage
from clbalance.render.gpus import excesses_text
from clbalance.render.text import Json, finite


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFacts:
    """The output files of a job, as patterns, and the state of those of its last attempt."""

    output: str | None
    error: str | None
    state: OutputState = OutputState.PENDING
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """The files that travel with a job, and the results of each copy of its last attempt."""

    files: JobFiles
    returns: tuple[ReturnRecord, ...] = ()

    @property
    def is_returned(self) -> bool:
        """Whether all results are here."""
        return all(one.state is ReturnState.COMPLETE for one in self.returns)

    @property
    def missing(self) -> str:
        """Which results of an ended job are not here, and why; empty: none."""
        pending = [one for one in self.returns if one.state is ReturnState.PENDING]
        lost = [one for one in self.returns if one.state is ReturnState.LOST]
        parts = [f"results still on {fold(one.node for one in pending)}"] if pending else []
        parts += [f"results of {fold(one.node for one in lost)} are lost"] if lost else []
        why = next((one.reason for one in (*pending, *lost) if one.reason), "")
        return ", ".join(parts) + (f": {why}" if why and parts else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What each copy of a job has asked for."""

    cpus: float
    mem_bytes: int
    gpus: int
    gpu_share: float = 1.0

    @classmethod
    def of(cls, asked: Request | Allocation) -> "Resources":
        """Those of a request, or of the lease made from it."""
        gpus = asked.gpus if isinstance(asked, Request) else len(asked.gpus)
        return cls(cpus=asked.cpus, mem_bytes=asked.mem_bytes, gpus=gpus, gpu_share=asked.gpu_share)

    @property
    def devices(self) -> float | None:
        """GPUs, or the share of one; None without any."""
        return self.gpus * self.gpu_share or None


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
    key: str = ""
    qos: Qos | None = None
    """None: not known."""
    priority: float | None = None
    """None: not known."""
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    """Of its last attempt."""
    ended_at: datetime | None = None
    command: str = ""
    """As typed; empty: not known."""
    resources: Resources | None = None
    """None: not known."""
    tasks: TaskSummary | None = None
    """None: it is not a job of tasks."""
    usage: Usage | None = None
    """What it uses now. None: not asked for, or the nodes did not answer."""
    final: FinalUsage | None = None
    """What it has used, once it has ended. None: not known."""
    output: OutputFacts | None = None
    """None: it has no output files, or was submitted on another host."""
    files: FileFacts | None = None
    """None: no files travel with it, or it was submitted on another host."""
    elsewhere: str = ""
    """What to type for it, if `id` is None."""
    over_share: tuple[tuple[NodeName, ShareExcess], ...] = ()
    """Devices of which it holds more memory than its share."""

    def with_excesses(self, excesses: Sequence[tuple[NodeName, ShareExcess]]) -> "JobRow":
        """The same job, with what it holds beyond its shares, which is a reason too."""
        reason = "; ".join(filter(None, (self.reason, excesses_text(excesses))))
        return replace(self, over_share=tuple(excesses), reason=reason)

    @property
    def typed(self) -> str:
        """What `cancel` and `logs` take for it."""
        return self.elsewhere if self.id is None else str(self.id)

    @property
    def remark(self) -> str:
        """Its reason, how its tasks stand, and which results are missing."""
        if self.tasks is None:
            missing = self.files.missing if self.files is not None and JobState(self.state).is_over else ""
            return "; ".join(filter(None, (self.reason, missing)))
        return counts_and_reason(self.tasks, self.reason, is_over=JobState(self.state).is_over)

    @property
    def cpu_s(self) -> float | None:
        """Cpu seconds: so far, or in all."""
        if self.usage is not None:
            return self.usage.cpu_s
        return None if self.final is None else self.final.cpu_s


def job_row(
    record: JobRecord,
    outcomes: Sequence[Outcome],
    *,
    user: str,
    now: datetime,
    request: Request | None = None,
    command: str = "",
    tasks: TaskSummary | None = None,
) -> JobRow:
    """The row of a job of this host."""
    # The last attempt of a queued job is over: the job runs on no node.
    is_nowhere = is_queued(record)
    begun, until = None if is_nowhere else record.started_at, record.ended_at or now
    return JobRow(
        id=record.id,
        name=record.name,
        user=user,
        state=record.state.value,
        reason=_reason(record, outcomes, now),
        rc=record.rc,
        node_set="" if is_nowhere else fold(record.nodes),
        seconds=None if begun is None else max(0.0, (until - begun).total_seconds()),
        attempt=record.attempt,
        key=record.key,
        qos=record.qos,
        priority=record.priority,
        submitted_at=record.submitted_at,
        started_at=begun,
        ended_at=record.ended_at,
        command=command,
        resources=None if request is None else Resources.of(request),
        tasks=tasks,
        final=total_usage(outcomes) if record.state.is_over else None,
    )


def _reason(record: JobRecord, outcomes: Sequence[Outcome], now: datetime) -> str:
    """A cancel that waits, else the job's own reason, else that a node did not answer, else why it began late.

    Of a job that waits in a batch system nothing is known while that does not answer.
    """
    silent = next((f"{one.node}: {reason_of(one.end)}" for one in outcomes if isinstance(one.end, Lost)), "")
    if record.cancel_requested and not record.state.is_over:
        return f"cancel asked for, node does not answer: {silent}" if silent else "cancel asked for"
    if silent and record.engine:
        return f"unknown: {silent}"
    return pending_reason(record, now) or (f"unknown: {silent}" if silent else late_start(record))


def job_document(row: JobRow) -> dict[str, Json]:
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
        "cpu_s": row.cpu_s,
        "mem_bytes": None if row.usage is None else row.usage.mem_bytes,
        "output": None if row.output is None else output_document(row.output),
        "job_files": None if row.files is None else files_document(row.files),
        "key": row.key or None,
        "submitted_at": instant(row.submitted_at),
        "started_at": instant(row.started_at),
        "ended_at": instant(row.ended_at),
        "command": row.command or None,
        "request": None if row.resources is None else resources_document(row.resources),
        "tasks": None if row.tasks is None else tasks_document(row.tasks),
        "max_rss_bytes": None if row.final is None else row.final.max_rss_bytes,
        "over_share": [
            {"node": node, "uuid": one.gpu.uuid, "mem_bytes": one.mem_bytes, "share_bytes": one.share_bytes}
            for node, one in row.over_share
        ],
    }


def resources_document(resources: Resources) -> dict[str, Json]:
    """The main resources of each copy."""
    return {
        "cpus": resources.cpus,
        "mem_bytes": resources.mem_bytes,
        "gpus": resources.gpus,
        "gpu_share": resources.gpu_share,
    }


def output_document(output: OutputFacts) -> dict[str, Json]:
    """The output files of a job."""
    return {
        "stdout": output.output,
        "stderr": output.error,
        "complete": output.state is OutputState.COMPLETE,
        "state": output.state.value,
        "reason": output.reason or None,
    }


def files_document(facts: FileFacts) -> dict[str, Json]:
    """The files that travel with a job."""
    return {
        "sent": [
            {"path": one.path, "name": one.name, "files": one.files, "bytes": one.size_bytes}
            for one in (*facts.files.sent, *facts.files.sent_to_tasks)
        ],
        "return": list(facts.files.returned),
        "return_to": facts.files.into or None,
        "returned": facts.is_returned if facts.files.returned else None,
        "returns": [
            {
                "node": one.node,
                "state": one.state.value,
                "reason": one.reason or None,
                "files": one.files,
                "bytes": one.size_bytes,
                "folder": one.folder or None,
            }
            for one in facts.returns
        ],
    }


def tasks_document(tasks: TaskSummary) -> dict[str, Json]:
    """The number of tasks in all, and in each state."""
    names = {JobState.PENDING: "not_started"}
    return {"total": tasks.total, **{names.get(one, one.value.lower()): tasks.count(one) for one in JobState}}


def instant(at: datetime | None) -> str | None:
    """A time for programs: ISO 8601 in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat()
