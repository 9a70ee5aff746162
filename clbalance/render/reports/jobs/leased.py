"""`show` of running jobs that are not in the journal: what leases, the job's folder on a node, and its nodes tell."""

import shlex
from collections.abc import Iterator, Sequence

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation
from clbalance.nodeset import fold
from clbalance.policy.jobs.leased_view import CopyStatus, LeasedView
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table
from clbalance.render.text import DASH, Json, duration, escape_line, finite, iec
from clbalance.units import counted

_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="STATE"),
    Column(heading="PID", align="right"),
    Column(heading="PROCESSES", align="right"),
    Column(heading="TIME", align="right"),
    Column(heading="CPUTIME", align="right"),
    Column(heading="MEM", align="right"),
)


@dataclass(frozen=True, slots=True)
class LeasedReport(Report):
    """Jobs, one after the other."""

    jobs: Sequence[LeasedView]

    def human(self, display: Display) -> str:
        return "\n".join(_job_text(job, display) for job in self.jobs)

    def plain(self) -> str:
        """A line for each copy: job, node, state, pid, processes, seconds, cpu seconds, bytes of memory."""
        return plain_lines(
            (view.job.named(view.owner), *_copy_document(copy).values()) for view in self.jobs for copy in view.copies
        )

    def json(self) -> dict[str, Json]:
        return {"jobs": [_document(job) for job in self.jobs]}


def _allocation(view: LeasedView) -> Allocation | None:
    """Of each copy; None if it cannot be read."""
    allocation = view.job.copies[0].lease.allocation
    return allocation if isinstance(allocation, Allocation) else None


def _seconds(view: LeasedView) -> float:
    return max(copy.age_s for copy in view.job.copies)


def _job_text(view: LeasedView, display: Display) -> str:
    facts = [(name, text) for name, text in _facts(view) if text]
    width = max(len(name) for name, _ in facts)
    asked = _allocation(view)
    heading = f"job {view.job.named(view.owner)}" + (f": {asked.name}" if asked is not None and asked.name else "")
    lines = [heading, *(f"  {name.ljust(width)}  {text}" for name, text in facts)]
    text = "".join(f"{escape_line(line)}\n" for line in lines)
    return text + display.table(Table(columns=_COLUMNS, rows=tuple(map(_cells, view.copies))), last="fold")


def _facts(view: LeasedView) -> Iterator[tuple[str, str]]:
    spec, asked = view.spec, _allocation(view)
    yield "state", "RUNNING"
    yield "owner", view.owner
    yield "key", view.job.key
    yield "command", shlex.join(spec.command)
    number = "" if spec.number is None else f", as job {spec.number} there"
    yield "directory", spec.chdir + (f" (submitted on {spec.submit_host}{number})" if spec.submit_host else "")
    yield "time", "" if asked is None else duration(_seconds(view))
    yield "nodes", fold(view.job.nodes)
    yield "request", "" if asked is None else _request(asked)
    yield "limits", "" if spec.time_limit_s is None else f"{duration(spec.time_limit_s)} of run time"


def _request(asked: Allocation) -> str:
    parts = [counted(asked.cpus, "cpu")]
    parts += [f"{iec(asked.mem_bytes)} of memory"] if asked.mem_bytes else []
    share = "" if asked.gpu_share == 1 else f"{asked.gpu_share:g} of "
    parts += [f"{share}GPU {uuid}" for uuid in asked.gpus]
    parts += ["exclusive"] if asked.exclusive else []
    return ", ".join(parts)


def _cells(copy: CopyStatus) -> tuple[Cell, ...]:
    return (
        Cell(copy.node),
        Cell((copy.state or "unknown").upper()),
        Cell(DASH if copy.pid is None else str(copy.pid)),
        Cell(DASH if copy.processes is None else str(copy.processes)),
        Cell(DASH if copy.seconds is None else duration(copy.seconds)),
        Cell(DASH if copy.cpu_s is None else duration(copy.cpu_s)),
        Cell(DASH if copy.mem_bytes is None else iec(copy.mem_bytes)),
    )


def _document(view: LeasedView) -> dict[str, Json]:
    spec, asked = view.spec, _allocation(view)
    return {
        "id": None,
        "job": view.job.named(view.owner),
        "key": view.job.key,
        "name": None if asked is None else asked.name,
        "user": view.owner,
        "state": "RUNNING",
        "command": shlex.join(spec.command) or None,
        "chdir": spec.chdir or None,
        "number": spec.number,
        "submit_host": spec.submit_host or None,
        "seconds": finite(_seconds(view)),
        "time_limit_s": finite(spec.time_limit_s),
        "node_set": fold(view.job.nodes),
        "cpus": None if asked is None else asked.cpus,
        "mem_bytes": None if asked is None else asked.mem_bytes,
        "gpus": None if asked is None else list(asked.gpus),
        "gpu_share": None if asked is None else asked.gpu_share,
        "copies": [_copy_document(copy) for copy in view.copies],
    }


def _copy_document(copy: CopyStatus) -> dict[str, Json]:
    return {
        "node": copy.node,
        "state": copy.state,
        "pid": copy.pid,
        "processes": copy.processes,
        "seconds": finite(copy.seconds),
        "cpu_s": finite(copy.cpu_s),
        "mem_bytes": copy.mem_bytes,
    }
