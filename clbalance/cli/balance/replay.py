"""Carry out `replay`: jobs and nodes from files, the journal or a sweep; every policy is replayed with every seed."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TypeAlias

from clbalance.cli.balance.replay_files import read_file
from clbalance.cli.balance.replay_workers import ReplayProgress, each_in_a_process
from clbalance.cli.console import Console
from clbalance.cli.node_settings import policy_of
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.typed_settings import typed
from clbalance.errors import ExitCode, TraceError, UsageError
from clbalance.model import Measured, Snapshot
from clbalance.model.trace import Trace, remarks_of
from clbalance.policy.placement.fragmentation import Workload
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.queue.processors import Processors
from clbalance.policy.queue.queues import job_queue_named
from clbalance.policy.queue.replay import replay
from clbalance.policy.queue.replay_metrics import compared
from clbalance.render import messages
from clbalance.render.reports.balance.replay import ReplayReport
from clbalance.settings.load import load_settings
from clbalance.trace.swf import SwfLog
from clbalance.units import counted
from clbalance.wiring.folders import working_directory


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
    log, machines = read_files(files)
    cluster, trace = sources_of(_history(console) if log is None else log, machines, nodes, ssh, console)
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


Nodes: TypeAlias = tuple[Measured, ...]


def read_files(files: Sequence[Path]) -> tuple[Trace | SwfLog | None, Nodes | None]:
    """The jobs and the nodes of the files. `UsageError` or `TraceError` for files that are not usable."""
    jobs: list[Trace | SwfLog] = []
    machines: list[Nodes] = []
    for file in files:
        found = read_file(file)
        if isinstance(found, Trace | SwfLog):
            jobs.append(found)
        else:
            machines.append(found)
    if len(jobs) > 1 or len(machines) > 1:
        what = "jobs" if len(jobs) > 1 else "nodes"
        raise UsageError(f"several files of {what}", hint=f"give one file of {what}")
    return jobs[0] if jobs else None, machines[0] if machines else None


def sources_of(
    log: Trace | SwfLog, machines: Nodes | None, nodes: NodeOptions, ssh: SshOptions, console: Console
) -> tuple[Snapshot | Processors, Trace]:
    """The nodes, without any load, and the jobs. `TraceError` if there is no job, or no node."""
    trace = log.trace if isinstance(log, SwfLog) else log
    if not trace.arrivals:
        raise TraceError(
            "there is no job to replay", hint="name a file of jobs; without one, the jobs of this host are replayed"
        )
    if machines is None and isinstance(log, SwfLog) and not nodes.names_nodes:
        machine = _of_header(log)
        return machine, _with_remark_on_size(trace, machine)
    return nodes_of(machines, nodes, ssh, console), _sharing(trace, swf=isinstance(log, SwfLog))


def nodes_of(machines: Nodes | None, nodes: NodeOptions, ssh: SshOptions, console: Console) -> Snapshot:
    """The nodes of a file, else those of a sweep, without any load."""
    if machines is not None:
        return Snapshot(taken_at=datetime.now(UTC), answers=machines)
    from clbalance.cli.balance.replay_cluster import swept_nodes  # a file of nodes needs no connections

    return swept_nodes(nodes, ssh, console)


def _history(console: Console) -> Trace:
    from clbalance.cli.balance.replay_cluster import remembered_jobs  # a file of jobs needs no database

    return remembered_jobs(console)


def _sharing(trace: Trace, *, swf: bool) -> Trace:
    """In an SWF log, processors of one parallel job may share a node; copies of our jobs may not."""
    return Trace(arrivals=trace.arrivals, copies_share_nodes=swf, remarks=trace.remarks)


def _of_header(log: SwfLog) -> Processors:
    if log.processors is None:
        raise TraceError(
            "the log does not give the number of processors",
            hint="give it a header such as `; MaxProcs: 100`, or name a file of nodes",
        )
    return Processors(count=log.processors)


def _with_remark_on_size(trace: Trace, machine: Processors) -> Trace:
    """`trace`, with a remark if jobs request more processors than there are."""
    too_large = sum(1 for arrival in trace.arrivals if (arrival.request.pick or 1) > machine.count)
    counts = {f"larger than the machine, of {counted(machine.count, 'processor')}, refused": too_large}
    return replace(trace, remarks=(*trace.remarks, *(remarks_of(counts) if too_large else ())))
