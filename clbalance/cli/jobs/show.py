"""Carry out `jobs`: the jobs in the journal, refreshed from their nodes, and other jobs seen by their leases."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.job_selection import me, named_jobs, open_job_services
from clbalance.cli.jobs.leased import shown_name
from clbalance.cli.option_values import user_name
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.jobs.usage import usage_of
from clbalance.engine.sweep import sweep
from clbalance.errors import ExitCode, StoreError
from clbalance.model import Allocation, Silent, Snapshot
from clbalance.model.job_record import JobRecord, JobState, Lost
from clbalance.nodeset import fold
from clbalance.policy.jobs.leased import LeasedJob, leased_jobs
from clbalance.policy.jobs.record import qos_of
from clbalance.ports import Journal
from clbalance.render import messages
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
        files = _output_files(services.journal, [one.record for one in seen])
        rows = [
            replace(
                job_row(one.record, one.outcomes, user=user, now=now),
                usage=taken.get(one.record.id),
                output=files.get(one.record.id),
            )
            for one in seen
        ]
        known = {record.key for record in services.journal.records(over=True)}
    silent = any(isinstance(outcome.end, Lost) for one in seen for outcome in one.outcomes)
    if nodes.names_nodes or all_users:
        snapshot = _sweep(nodes, ssh, console)
        rows += _rows_of_leases(snapshot, known, all_users=all_users)
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
    return [
        _row(job)
        for job in leased_jobs(snapshot.answers)
        if job.key not in known and (all_users or any(copy.login == job.uid for copy in job.copies))
    ]


def _row(job: LeasedJob) -> JobRow:
    first = job.copies[0].lease
    allocation = first.allocation if isinstance(first.allocation, Allocation) else None
    return JobRow(
        id=None,
        name=(allocation.name if allocation is not None else "") or "-",
        user=user_name(job.uid),
        state="RUNNING",
        reason="submitted elsewhere",
        rc=None,
        node_set=fold(job.nodes),
        seconds=max(copy.age_s for copy in job.copies),
        attempt=first.attempt,
        qos=None if allocation is None else qos_of(allocation),
        elsewhere=shown_name(job),
    )
