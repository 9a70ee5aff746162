"""Carry out `jobs`: the jobs in the journal, refreshed from their nodes, and other jobs seen by their leases."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.job_selection import me, named_jobs, open_job_services
from clbalance.cli.known_names import asking_for_owners, known_names
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.engine.jobs.shares import excesses_of
from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.jobs.usage import usage_of
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import ExitCode, StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Allocation, Lease, Measured, Silent, Snapshot, Unknown
from clbalance.model.job_record import JobRecord, JobState, Lost
from clbalance.nodeset import fold
from clbalance.policy.allocations import age_s
from clbalance.policy.gpu_users import ShareExcess, share_excesses
from clbalance.policy.jobs.record import qos_of
from clbalance.ports import Journal
from clbalance.render import messages
from clbalance.render.names import KnownNames, foreign_job
from clbalance.render.reports.jobs.jobs import JobRow, JobsReport, OutputFacts, job_row


def show_jobs(
    words: Sequence[str],
    nodes: NodeOptions,
    ssh: SshOptions,
    console: Console,
    *,
    ended: bool,
    all_users: bool,
    usage: bool = False,
) -> int:
    """The exit code of `clbalance jobs`."""
    with open_job_services(ssh, console) as services:
        records = named_jobs(services.journal, words) if words else services.journal.records(over=ended)
        seen = refresh(services, records)
        complete_outputs(services, console)
        now, user = services.clock.now(), me()
        taken = usage_of(services, [one.record for one in seen]) if usage else {}
        over = excesses_of(asking_for_owners(services), [one.record for one in seen])
        files = _output_files(services.journal, [one.record for one in seen])
        rows = [
            replace(
                job_row(one.record, one.outcomes, user=user, now=now).with_excesses(over.get(one.record.key, ())),
                usage=taken.get(one.record.id),
                output=files.get(one.record.id),
            )
            for one in seen
        ]
        known = {record.key for record in services.journal.records(over=True)}
    silent = any(isinstance(outcome.end, Lost) for one in seen for outcome in one.outcomes)
    if nodes.names_nodes or all_users:
        snapshot, names = _sweep(nodes, ssh, console)
        rows += _rows_of_leases(snapshot, known, names, all_users=all_users)
        silent |= any(isinstance(answer, Silent) for answer in snapshot.answers)
    console.show(JobsReport(rows))
    return ExitCode.SOME_NODES_FAILED if silent else ExitCode.DONE


def _output_files(journal: Journal, records: Sequence[JobRecord]) -> dict[int, OutputFacts]:
    """The output files of jobs that have any, by job. Without a `state` where nothing was written yet."""
    known = {one.job: one for one in journal.outputs()}  # the last attempt of a job comes last, and wins
    facts = {}
    for record in records:
        if record.id not in known and record.state is not JobState.PENDING:
            continue
        with contextlib.suppress(StoreError):  # submitted by another version of the program
            submitted = journal.submitted(record.id)
            if submitted is not None and submitted.has_files:
                facts[record.id] = OutputFacts(output=submitted.output, error=submitted.error)
                if (one := known.get(record.id)) is not None:
                    facts[record.id] = replace(facts[record.id], state=one.state, reason=one.reason)
    return facts


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
        label=foreign_job(names.users.get(lease.uid), lease),
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
    ).with_excesses([(copy.answer.node, one) for copy in copies for one in copy.excesses])
