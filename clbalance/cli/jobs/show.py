"""Carry out `jobs`: the jobs in the journal, refreshed from their nodes, and other jobs seen by their leases."""

from collections.abc import Sequence

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.job_selection import MOST_JOBS, named_jobs, open_job_services
from clbalance.cli.jobs.options import JobTableOptions
from clbalance.cli.jobs.rows import rows_of
from clbalance.cli.jobs.table import table_of
from clbalance.cli.known_names import asking_for_owners, known_names
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.engine.jobs.shares import excesses_of
from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.jobs.usage import usage_of
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import ExitCode
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Lease, Measured, Silent, Snapshot, Unknown
from clbalance.model.job_record import Lost
from clbalance.nodeset import fold
from clbalance.policy.allocations import age_s
from clbalance.policy.gpu_users import ShareExcess, share_excesses
from clbalance.policy.jobs.record import qos_of
from clbalance.render import messages
from clbalance.render.jobs.row import JobRow, Resources
from clbalance.render.names import KnownNames, foreign_job
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


def _sweep(nodes: NodeOptions, ssh: SshOptions, console: Console) -> tuple[Snapshot, KnownNames]:
    cluster = cluster_context(nodes, ssh, console)
    with cluster.services() as services:
        snapshot = take_snapshot(asking_for_owners(services), cluster.candidates.nodes)
        names = known_names(services, snapshot)
    for answer in snapshot.answers:
        if isinstance(answer, Silent):
            console.say(messages.warning(f"{answer.node}: {answer.cause.because(answer.reason)}"))
    return snapshot, names


@dataclass(frozen=True, slots=True, kw_only=True)
class _LeasedCopy:
    """A copy of a job that this host has not submitted, by its lease on a node."""

    answer: Measured
    lease: Lease
    excesses: tuple[ShareExcess, ...]

    @property
    def age_s(self) -> float:
        """Since the lease was granted."""
        allocation = self.lease.allocation
        return age_s(allocation, self.answer.reading.uptime_s) if isinstance(allocation, Allocation) else 0.0


def _rows_of_leases(snapshot: Snapshot, known: set[str], names: KnownNames, *, all_users: bool) -> list[JobRow]:
    """One row for each running job that this host has not submitted, longest running first."""
    found: dict[tuple[int, str], list[_LeasedCopy]] = {}
    for answer in snapshot.answers:
        for copy in _copies_on(answer, all_users=all_users):
            if copy.lease.key not in known:
                found.setdefault((copy.lease.uid, copy.lease.key), []).append(copy)
    return [_row(copies, names) for copies in sorted(found.values(), key=lambda copies: -copies[0].age_s)]


def _copies_on(answer: Measured | Silent, *, all_users: bool) -> list[_LeasedCopy]:
    if isinstance(answer, Silent) or isinstance(answer.reading.leases, Unknown):
        return []
    excesses = share_excesses(answer.reading)
    return [
        _LeasedCopy(answer=answer, lease=lease, excesses=tuple(one for one in excesses if one.lease is lease))
        for lease in answer.reading.leases
        if all_users or lease.uid == answer.reading.uid
    ]


def _row(copies: Sequence[_LeasedCopy], names: KnownNames) -> JobRow:
    answer, lease = copies[0].answer, copies[0].lease
    allocation = lease.allocation if isinstance(lease.allocation, Allocation) else None
    return JobRow(
        id=None,
        elsewhere=foreign_job(names.users.get(lease.uid), lease),
        name=(allocation.name if allocation else "") or "-",
        user=names.shown_user(answer.node, lease.uid),
        state="RUNNING",
        reason="submitted elsewhere",
        rc=None,
        node_set=fold([copy.answer.node for copy in copies]),
        seconds=copies[0].age_s,
        attempt=lease.attempt,
        key=lease.key,
        qos=qos_of(allocation) if allocation else None,
        resources=Resources.of(allocation) if allocation else None,
    ).with_excesses([(copy.answer.node, one) for copy in copies for one in copy.excesses])
