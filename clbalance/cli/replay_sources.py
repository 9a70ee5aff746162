"""What to replay, and on which nodes: files, what this host remembers, or a sweep."""

import gzip
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from clbalance.arrivals import Trace
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.screen import Screen
from clbalance.cli.workplace import open_memory, workplace
from clbalance.engine.sweep import sweep
from clbalance.errors import TraceError, UsageError
from clbalance.model import Measured, Snapshot
from clbalance.trace.history import history_trace
from clbalance.trace.idle import emptied
from clbalance.trace.jobs_csv import JOB_COLUMNS, parse_jobs
from clbalance.trace.nodes_csv import NODE_COLUMNS, parse_nodes
from clbalance.trace.swf import SwfLog, parse_swf, processors_as_nodes

_MOST_JOBS = 1_000_000  # of the history


def read_sources(files: Sequence[Path], nodes: NodeOptions, ssh: SshOptions, screen: Screen) -> tuple[Snapshot, Trace]:
    """The nodes, empty, and the jobs."""
    jobs: list[Trace | SwfLog] = []
    machines: list[tuple[Measured, ...]] = []
    for file in files:
        found = _read(file)
        if isinstance(found, Trace | SwfLog):
            jobs.append(found)
        else:
            machines.append(found)
    if len(jobs) > 1 or len(machines) > 1:
        what = "jobs" if len(jobs) > 1 else "nodes"
        raise UsageError(f"there are several files of {what}", hint=f"give one file of {what}")
    log = jobs[0] if jobs else _history(screen)
    trace = log.trace if isinstance(log, SwfLog) else log
    if not trace.arrivals:
        raise TraceError("there is no job to replay", hint="name a file of jobs, or run some")
    if machines:
        return _snapshot(machines[0]), _sharing(trace, swf=isinstance(log, SwfLog))
    if isinstance(log, SwfLog) and not nodes.names_nodes:
        return _snapshot(_of_header(log)), trace
    return _swept(nodes, ssh, screen), _sharing(trace, swf=isinstance(log, SwfLog))


def _read(file: Path) -> Trace | SwfLog | tuple[Measured, ...]:
    name, lines = str(file), _lines(file)
    if file.name.endswith((".swf", ".swf.gz")):
        return parse_swf(name, lines)
    heading = [cell.strip() for cell in lines[0].split(",")] if lines else []
    if "job" in heading:
        return parse_jobs(name, lines)
    if "name" in heading:
        return parse_nodes(name, lines)
    raise TraceError(
        f"{name}:1: neither a heading of jobs nor of nodes",
        hint=f"begin with {','.join(JOB_COLUMNS)} or with {','.join(NODE_COLUMNS)}; end the name of other logs in .swf",
    )


def _lines(file: Path) -> list[str]:
    # Names and remarks in old logs are in many encodings, and none of them matters.
    opening = gzip.open if file.name.endswith(".gz") else open
    try:
        with opening(file, "rt", encoding="utf-8-sig", errors="replace", newline="") as opened:
            return list(opened)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TraceError(f"{file}: {error}", hint="a file that ends in .gz is packed by gzip") from error


def _sharing(trace: Trace, *, swf: bool) -> Trace:
    """Processors of one parallel job may be on one node, where nodes have several; copies of ours may not."""
    return Trace(arrivals=trace.arrivals, copies_share_nodes=swf, remarks=trace.remarks)


def _of_header(log: SwfLog) -> tuple[Measured, ...]:
    if log.processors is None:
        raise TraceError(
            "the log does not say how many processors there were",
            hint="give it a header such as `; MaxProcs: 100`, or name a file of nodes",
        )
    return processors_as_nodes(log.processors)


def _history(screen: Screen) -> Trace:
    with open_memory(screen) as (_, journal):
        records = journal.records(over=True, newest=_MOST_JOBS)
        return history_trace([(record, journal.submitted(record.id)) for record in records])


def _swept(nodes: NodeOptions, ssh: SshOptions, screen: Screen) -> Snapshot:
    place = workplace(nodes, ssh, screen)
    with place.world(meanwhile="clbalance.policy.replay") as world, world.transport.sessions() as sessions:
        found = emptied(sweep(world, sessions, place.candidates.nodes))
    if not found.answers:
        raise TraceError("no node has answered", hint="`clbalance load` says why; or name a file of nodes")
    return found


def _snapshot(machines: tuple[Measured, ...]) -> Snapshot:
    return Snapshot(taken_at=datetime.now(UTC), answers=machines)
