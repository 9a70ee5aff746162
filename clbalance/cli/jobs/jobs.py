"""Carry out `jobs`: the jobs in the journal, refreshed from their nodes, and other jobs seen by their leases."""

from collections.abc import Mapping, Sequence

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.job_selection import MOST_JOBS, named_jobs, open_job_services
from clbalance.cli.jobs.options import JobTableOptions
from clbalance.cli.jobs.rows import rows_of
from clbalance.cli.jobs.table import table_of
from clbalance.cli.known_names import asking_for_owners, known_names
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.engine.jobs.reconciled import Reconciled
from clbalance.engine.jobs.shares import excesses_of
from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import ExitCode
from clbalance.model import Allocation, Measured, NodeName, Silent, Snapshot
from clbalance.model.job_record import Lost, Usage
from clbalance.nodeset import fold
from clbalance.policy.gpu_users import ShareExcess, share_excesses
from clbalance.policy.jobs.leased import LeasedJob, leased_jobs
from clbalance.policy.jobs.record import qos_of
from clbalance.render import messages
from clbalance.render.jobs.row import JobRow, Resources
from clbalance.render.names import KnownNames
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
        taken = _usage_of(services, seen) if table.usage else {}
        over = excesses_of(asking_for_owners(services), [one.record for one in seen])
        rows = [row.with_excesses(over.get(row.key, ())) for row in rows_of(services, seen, taken)]
        now = services.clock.now()
        looks_elsewhere = nodes.names_nodes or all_users
        known = {one.key for one in services.journal.records(over=True, newest=MOST_JOBS)} if looks_elsewhere else set()
    silent = any(isinstance(outcome.end, Lost) for one in seen for outcome in one.outcomes)
    if looks_elsewhere:
        snapshot, names = _sweep(nodes, ssh, console)
        rows += _rows_of_leases(snapshot, known, names, all_users=all_users)
        silent |= any(isinstance(answer, Silent) for answer in snapshot.answers)
    local_now = None if table.long else now.astimezone()
    console.show(JobsReport(wanted.choose(rows), now=local_now, columns=wanted.columns))
    return ExitCode.SOME_NODES_FAILED if silent else ExitCode.DONE


def _usage_of(services: Services, seen: Sequence[Reconciled]) -> Mapping[int, Usage]:
    from clbalance.engine.jobs.usage import usage_of  # deferred import: docs/design/startup.md

    return usage_of(services, [one.record for one in seen])


def _sweep(nodes: NodeOptions, ssh: SshOptions, console: Console) -> tuple[Snapshot, KnownNames]:
    cluster = cluster_context(nodes, ssh, console)
    with cluster.services() as services:
        snapshot = take_snapshot(asking_for_owners(services), cluster.candidates.nodes)
        names = known_names(services, snapshot)
    for answer in snapshot.answers:
        if isinstance(answer, Silent):
            console.say(messages.warning(f"{answer.node}: {answer.cause.because(answer.reason)}"))
    return snapshot, names


def _rows_of_leases(snapshot: Snapshot, known: set[str], names: KnownNames, *, all_users: bool) -> list[JobRow]:
    """One row for each running job that this host has not submitted, longest running first."""
    excesses = {one.node: share_excesses(one.reading) for one in snapshot.answers if isinstance(one, Measured)}
    return [
        _row(job, names, excesses)
        for job in leased_jobs(snapshot.answers)
        if job.key not in known and (all_users or any(copy.login == job.uid for copy in job.copies))
    ]


def _row(job: LeasedJob, names: KnownNames, excesses: Mapping[NodeName, tuple[ShareExcess, ...]]) -> JobRow:
    first = job.copies[0]
    allocation = first.lease.allocation if isinstance(first.lease.allocation, Allocation) else None
    return JobRow(
        id=None,
        elsewhere=job.named(names.owner(job.uid)),
        name=(allocation.name if allocation else "") or "-",
        user=names.shown_user(first.node, job.uid),
        state="RUNNING",
        reason="submitted elsewhere",
        rc=None,
        node_set=fold(job.nodes),
        seconds=max(copy.age_s for copy in job.copies),
        attempt=first.lease.attempt,
        key=job.key,
        qos=qos_of(allocation) if allocation else None,
        resources=Resources.of(allocation) if allocation else None,
    ).with_excesses(
        [(copy.node, one) for copy in job.copies for one in excesses.get(copy.node, ()) if one.lease is copy.lease]
    )
