"""Carry out `jobs`: the jobs in the journal, refreshed from their nodes, and other jobs seen by their leases."""

from collections.abc import Sequence

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.job_selection import MOST_JOBS, named_jobs, open_job_services
from clbalance.cli.jobs.options import JobTableOptions
from clbalance.cli.jobs.rows import rows_of
from clbalance.cli.jobs.table import table_of
from clbalance.cli.option_values import user_name
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.jobs.usage import usage_of
from clbalance.engine.sweep import sweep
from clbalance.errors import ExitCode
from clbalance.model import Allocation, Lease, Measured, NodeName, Silent, Snapshot, Unknown
from clbalance.model.job_record import Lost
from clbalance.nodeset import fold
from clbalance.policy.jobs.record import qos_of
from clbalance.render import messages
from clbalance.render.jobs.row import JobRow, Resources
from clbalance.render.reports.jobs.jobs import JobsReport


def show_jobs(
    words: Sequence[str],
    nodes: NodeOptions,
    ssh: SshOptions,
    console: Console,
    table: JobTableOptions,
    *,
    ended: bool,
    all_users: bool,
) -> int:
    """The exit code of `clbalance jobs`."""
    wanted = table_of(table, all_users=all_users)
    with open_job_services(ssh, console) as services:
        records = named_jobs(services.journal, words) if words else wanted.records(services.journal, ended=ended)
        seen = refresh(services, records)
        complete_outputs(services, console)
        taken = usage_of(services, [one.record for one in seen]) if table.usage else {}
        rows = rows_of(services, seen, taken)
        now = services.clock.now()
        looks_elsewhere = nodes.names_nodes or all_users
        known = {one.key for one in services.journal.records(over=True, newest=MOST_JOBS)} if looks_elsewhere else set()
    silent = any(isinstance(outcome.end, Lost) for one in seen for outcome in one.outcomes)
    if looks_elsewhere:
        snapshot = _sweep(nodes, ssh, console)
        rows += _rows_of_leases(snapshot, known, all_users=all_users)
        silent |= any(isinstance(answer, Silent) for answer in snapshot.answers)
    local_now = None if table.long else now.astimezone()
    console.show(JobsReport(wanted.choose(rows), now=local_now, columns=wanted.columns))
    return ExitCode.SOME_NODES_FAILED if silent else ExitCode.DONE


def _sweep(nodes: NodeOptions, ssh: SshOptions, console: Console) -> Snapshot:
    cluster = cluster_context(nodes, ssh, console)
    with cluster.services() as services, services.transport.sessions() as sessions:
        snapshot = sweep(services, sessions, cluster.candidates.nodes)
    for answer in snapshot.answers:
        if isinstance(answer, Silent):
            console.say(messages.warning(f"{answer.node}: {answer.cause.because(answer.reason)}"))
    return snapshot


def _rows_of_leases(snapshot: Snapshot, known: set[str], *, all_users: bool) -> list[JobRow]:
    """One row for each running job that this host has not submitted, longest running first."""
    found: dict[str, tuple[Lease, float, list[NodeName]]] = {}
    for answer in snapshot.answers:
        for lease, age_s in _leases_of(answer, all_users=all_users):
            if lease.key not in known:
                _, _, where = found.setdefault(lease.key, (lease, age_s, []))
                where.append(answer.node)
    ordered = sorted(found.values(), key=lambda one: -one[1])
    return [_row(lease, age_s, where) for lease, age_s, where in ordered]


def _leases_of(answer: Measured | Silent, *, all_users: bool) -> list[tuple[Lease, float]]:
    if isinstance(answer, Silent):
        return []
    reading = answer.reading
    leases = () if isinstance(reading.leases, Unknown) else reading.leases
    mine = [lease for lease in leases if all_users or lease.uid == reading.uid]
    return [(lease, _age_s(lease, reading.uptime_s)) for lease in mine]


def _age_s(lease: Lease, uptime_s: float | Unknown) -> float:
    if isinstance(lease.allocation, Allocation) and not isinstance(uptime_s, Unknown):
        return max(0.0, uptime_s - lease.allocation.uptime_s)
    return 0.0


def _row(lease: Lease, age_s: float, where: list[NodeName]) -> JobRow:
    name = lease.allocation.name if isinstance(lease.allocation, Allocation) else ""
    return JobRow(
        id=None,
        name=name or "-",
        user=user_name(lease.uid),
        state="RUNNING",
        reason="submitted elsewhere",
        rc=None,
        node_set=fold(where),
        seconds=age_s,
        attempt=lease.attempt,
        key=lease.key,
        qos=qos_of(lease.allocation) if isinstance(lease.allocation, Allocation) else None,
        resources=Resources.of(lease.allocation) if isinstance(lease.allocation, Allocation) else None,
    )
