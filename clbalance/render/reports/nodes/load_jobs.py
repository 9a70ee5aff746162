"""`load --jobs`: a line for each job on each node, by the leases there."""

from collections.abc import Iterator, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Lease, Measured, Unknown
from clbalance.policy.allocations import age_s
from clbalance.policy.gpu_users import share_excesses
from clbalance.render.gpus import device_numbers, excess_text
from clbalance.render.names import NO_NAMES, KnownNames
from clbalance.render.node_json import node_document
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json, duration, iec
from clbalance.render.views import NodeRow, least_loaded_first

NODE_JOB_FIELDS = (
    "node", "uid", "user", "job", "key", "attempt", "name", "cpus", "mem_bytes", "gpus", "gpu_share", "seconds",
    "command", "reason",
)  # fmt: skip
"""The fields in plain text, a line for each job on a node. `gpus`: UUIDs, joined by commas."""

_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="USER"),
    Column(heading="JOB"),
    Column(heading="NAME", sacrifice=1),
    Column(heading="CPUS", align="right"),
    Column(heading="MEM", align="right"),
    Column(heading="GPUS"),
    Column(heading="TIME", align="right", sacrifice=2),
    Column(heading="COMMAND (REASON)"),
)
_NAME_CHARS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class _NodeJob:
    """One job on one node."""

    answer: Measured
    lease: Lease
    gpus: str
    """The numbers of its devices, such as `0,1`; `0 (25%)` for a share."""
    reason: str

    @property
    def allocation(self) -> Allocation | None:
        """None: the lease cannot be read."""
        return self.lease.allocation if isinstance(self.lease.allocation, Allocation) else None

    @property
    def seconds(self) -> float | None:
        """Since the lease was granted; None: not known."""
        uptime_s = self.answer.reading.uptime_s
        return None if self.allocation is None or isinstance(uptime_s, Unknown) else age_s(self.allocation, uptime_s)


@dataclass(frozen=True, slots=True)
class LoadJobsReport(Report):
    """The jobs on nodes, least loaded nodes first. Nodes without jobs are left out; silent ones are not."""

    rows: Sequence[NodeRow]
    names: KnownNames = NO_NAMES

    def human(self, display: Display) -> str:
        lines = tuple(line for row in least_loaded_first(self.rows) for line in self._lines(row))
        return display.table(Table(columns=_COLUMNS, rows=lines), last="cut")

    def plain(self) -> str:
        """The `NODE_JOB_FIELDS` of each job."""
        return plain_lines(fields for row in least_loaded_first(self.rows) for fields in self._fields(row))

    def json(self) -> dict[str, Json]:
        """As `load`; `leases` of each node has whose they are."""
        return {"nodes": [node_document(row, self.names) for row in least_loaded_first(self.rows)]}

    def _lines(self, row: NodeRow) -> Iterator[tuple[Cell, ...]]:
        jobs = _jobs_on(row)
        if isinstance(jobs, Unknown):
            blanks = [Cell(DASH, Tone.QUIET) for _ in _COLUMNS[2:]]
            yield Cell(row.node), *blanks, Cell(f"({jobs.reason})", Tone.BAD)
            return
        for job in jobs:
            allocation, seconds = job.allocation, job.seconds
            yield (
                Cell(row.node),
                Cell(self.names.shown_user(row.node, job.lease.uid)),
                Cell(self.names.shown_job(job.answer, job.lease)),
                Cell((allocation.name if allocation else "")[:_NAME_CHARS] or DASH),
                Cell(f"{allocation.cpus:g}" if allocation else DASH),
                Cell(iec(allocation.mem_bytes) if allocation and allocation.mem_bytes else DASH),
                Cell(job.gpus or DASH),
                Cell(DASH if seconds is None else duration(seconds)),
                Cell(self._command_and_reason(job), Tone.WARN if job.reason else Tone.PLAIN),
            )

    def _command_and_reason(self, job: _NodeJob) -> str:
        command = self._command(job) or ""
        return f"{command}  ({job.reason})".lstrip() if job.reason else command or DASH

    def _command(self, job: _NodeJob) -> str | None:
        known = self.names.job(job.answer, job.lease)
        return None if known is None else known.command

    def _fields(self, row: NodeRow) -> Iterator[list[Json]]:
        jobs = _jobs_on(row)
        if isinstance(jobs, Unknown):
            blank = dict.fromkeys(NODE_JOB_FIELDS)
            yield list({**blank, "node": row.node, "reason": jobs.reason}.values())
            return
        for job in jobs:
            lease, allocation = job.lease, job.allocation
            taken: list[Json] = [None] * 5
            if allocation is not None:
                gpus = ",".join(allocation.gpus)
                taken = [allocation.name, allocation.cpus, allocation.mem_bytes, gpus, allocation.gpu_share]
            yield [
                *(row.node, lease.uid, self.names.user(row.node, lease.uid), self.names.shown_job(job.answer, lease)),
                *(lease.key, lease.attempt, *taken, job.seconds, self._command(job), job.reason),
            ]


def _jobs_on(row: NodeRow) -> list[_NodeJob] | Unknown:
    """The jobs on the node, longest running first."""
    answer = row.answer
    if not isinstance(answer, Measured):
        return Unknown(reason=row.reason or "")
    leases, gpus = answer.reading.leases, answer.reading.gpus
    if isinstance(leases, Unknown):
        return Unknown(reason=f"leases unknown: {leases.reason}")
    numbers = {} if isinstance(gpus, Unknown) else device_numbers(gpus)
    excesses = share_excesses(answer.reading)
    jobs = [
        _NodeJob(
            answer=answer,
            lease=lease,
            gpus=_gpus(lease, numbers),
            reason="; ".join(
                [
                    *([lease.allocation.reason] if isinstance(lease.allocation, Unknown) else []),
                    *(f"GPU {numbers[one.gpu.uuid]}: {excess_text(one)}" for one in excesses if one.lease is lease),
                ]
            ),
        )
        for lease in leases
    ]
    return sorted(jobs, key=lambda job: -(job.seconds or 0.0))


def _gpus(lease: Lease, numbers: dict[str, str]) -> str:
    allocation = lease.allocation
    if isinstance(allocation, Unknown) or not allocation.gpus:
        return ""
    shown = ",".join(numbers.get(uuid, uuid[:12]) for uuid in allocation.gpus)
    return shown if allocation.gpu_share >= 1 else f"{shown} ({allocation.gpu_share:.0%})"
