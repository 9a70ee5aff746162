"""Carry out `replay`: jobs and nodes from files, the journal or a sweep; every policy is replayed with every seed."""

import gzip
import os
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from clbalance.cli.balance.replay_workers import ReplayProgress, each_in_a_process
from clbalance.cli.cluster import cluster_context, open_store, typed
from clbalance.cli.console import Console
from clbalance.cli.node_settings import policy_of, working_directory
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.sweep import sweep
from clbalance.errors import ClbalanceError, ExitCode, TraceError, UsageError
from clbalance.model import Measured, Snapshot
from clbalance.model.trace import Trace
from clbalance.policy.placement.fragmentation import Workload
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.queue.queues import job_queue_named
from clbalance.policy.queue.replay import replay
from clbalance.policy.queue.replay_metrics import compared
from clbalance.render import messages
from clbalance.render.reports.balance.replay import ReplayReport
from clbalance.settings.load import load_settings
from clbalance.trace.csv_files import JOB_COLUMNS, NODE_COLUMNS, parse_jobs, parse_nodes
from clbalance.trace.history import history_trace
from clbalance.trace.nodes import emptied
from clbalance.trace.swf import SwfLog, parse_swf, processors_as_nodes
from clbalance.written_text import LOOKED_AT, NotUtf8Error, without_bom


def replay_trace(
    files: Sequence[Path],
    nodes: NodeOptions,
    ssh: SshOptions,
    console: Console,
    *,
    names: Sequence[str],
    queue: str | None,
    seeds: range,
) -> int:
    """The exit code of `clbalance replay`."""
    if not seeds:
        raise UsageError("`--repeat` is less than 1", hint="give how many seeds to replay with, 1 or more")
    waiting_list = None if queue is None else job_queue_named(queue)
    policies = _policies(names, nodes, ssh)
    cluster, trace = read_sources(files, nodes, ssh, console)
    for remark in trace.remarks:
        console.say(messages.note(remark))
    workload = Workload.of(arrival.request for arrival in trace.arrivals)
    policies = [replace(policy, workload=workload) for policy in policies]
    cases = [(policy, seed) for policy in policies for seed in seeds]
    found = each_in_a_process(
        cases,
        lambda case, heard: replay(cluster, trace, case[0], Random(case[1]), queue=waiting_list, heard=heard).figures,
        ReplayProgress(len(cases) * len(trace.arrivals), quiet=console.quiet),
    )
    rows = [
        compared(policy.name, queue, found[at * len(seeds) : (at + 1) * len(seeds)])
        for at, policy in enumerate(policies)
    ]
    console.show(ReplayReport(rows))
    return ExitCode.DONE


def _policies(names: Sequence[str], nodes: NodeOptions, ssh: SshOptions) -> list[Policy]:
    """The named policies, each once; if none are named, the one of the settings."""
    settings = load_settings(os.environ, working_directory(), typed(ssh, nodes.groups_conf))
    wanted: Sequence[str | None] = list(dict.fromkeys(names)) or [None]
    return [policy_of(settings, Thresholds(), nodes, name) for name in wanted]


# The jobs to replay and the nodes: from files, the journal, or a sweep.

_MOST_JOBS = 1_000_000  # jobs read from the journal


def read_sources(
    files: Sequence[Path], nodes: NodeOptions, ssh: SshOptions, console: Console
) -> tuple[Snapshot, Trace]:
    """The nodes, without any load, and the jobs. `UsageError` or `TraceError` for files that are not usable."""
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
        raise UsageError(f"several files of {what}", hint=f"give one file of {what}")
    log = jobs[0] if jobs else _history(console)
    trace = log.trace if isinstance(log, SwfLog) else log
    if not trace.arrivals:
        raise TraceError(
            "there is no job to replay", hint="name a file of jobs; without one, the jobs of this host are replayed"
        )
    if machines:
        return _snapshot(machines[0]), _sharing(trace, swf=isinstance(log, SwfLog))
    if isinstance(log, SwfLog) and not nodes.names_nodes:
        return _snapshot(_of_header(log)), trace
    return _swept(nodes, ssh, console), _sharing(trace, swf=isinstance(log, SwfLog))


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
    # Old logs have names and comments in many encodings; nothing reads them, so undecodable bytes do not matter.
    opening = gzip.open if file.name.endswith(".gz") else open
    try:
        with opening(file, "rb") as opened:
            without_bom(opened.read(LOOKED_AT))
        with opening(file, "rt", encoding="utf-8-sig", errors="replace", newline="") as opened:
            return list(opened)
    except NotUtf8Error as error:
        raise TraceError(f"{file}: {error}", hint=error.hint) from error
    except FileNotFoundError as error:
        hint = "a file of jobs or of nodes; nodes are named with `-w`"
        raise ClbalanceError(f"{file}: {error.strerror}", hint=hint) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TraceError(f"{file}: {error}", hint="a file that ends in .gz is packed by gzip") from error


def _sharing(trace: Trace, *, swf: bool) -> Trace:
    """In an SWF log, processors of one parallel job may share a node; copies of our jobs may not."""
    return Trace(arrivals=trace.arrivals, copies_share_nodes=swf, remarks=trace.remarks)


def _of_header(log: SwfLog) -> tuple[Measured, ...]:
    if log.processors is None:
        raise TraceError(
            "the log does not give the number of processors",
            hint="give it a header such as `; MaxProcs: 100`, or name a file of nodes",
        )
    return processors_as_nodes(log.processors)


def _history(console: Console) -> Trace:
    with open_store(console) as (_, journal):
        records = journal.records(over=True, newest=_MOST_JOBS)
        return history_trace([(record, journal.submitted(record.id)) for record in records])


def _swept(nodes: NodeOptions, ssh: SshOptions, console: Console) -> Snapshot:
    cluster = cluster_context(nodes, ssh, console)
    with (
        cluster.services(meanwhile="clbalance.policy.queue.replay") as services,
        services.transport.sessions() as sessions,
    ):
        found = emptied(sweep(services, sessions, cluster.candidates.nodes))
    if not found.answers:
        raise TraceError("no node has answered", hint="`clbalance load` says why; or name a file of nodes")
    return found


def _snapshot(machines: tuple[Measured, ...]) -> Snapshot:
    return Snapshot(taken_at=datetime.now(UTC), answers=machines)
