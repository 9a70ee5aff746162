"""Carry out `show`: everything that is known of jobs, from the journal and from their nodes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from clbalance.cli.console import Console
from clbalance.cli.job_selection import leased_names, named_jobs, open_job_services
from clbalance.cli.jobs.rows import local, rows_of, submitted_of
from clbalance.cli.options import ReachOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.engine.jobs.reconciled import Reconciled
from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.jobs.usage import usage_of
from clbalance.errors import ExitCode, UsageError
from clbalance.model.job import Submitted
from clbalance.model.job_record import JobRecord, JobState, Lost
from clbalance.policy.jobs.outcome import reason_of
from clbalance.policy.jobs.record import copies_without_outcome, gives_up_at
from clbalance.policy.jobs.usage import usage_in_all, usage_so_far
from clbalance.ports import Journal
from clbalance.render import messages
from clbalance.render.jobs.row import JobRow
from clbalance.render.output.files import FileNames
from clbalance.render.output.streams import STREAMS
from clbalance.render.reports.jobs.show import JobDetails, ShowReport


def show_named(words: Sequence[str], ssh: ReachOptions, console: Console, *, node_sets: Sequence[str]) -> int:
    """The exit code of `clbalance show`. `node_sets`: where jobs of others are looked for; empty: everywhere."""
    with open_job_services(ssh, console) as services:
        if leased := leased_names(services.journal, words):
            if own := [word for word in words if word not in leased]:
                raise UsageError(
                    f"`{own[0]}` is a job of this host, and `{next(iter(leased))}` is not", hint="show them one by one"
                )
            from clbalance.cli.jobs.show_leased import show_leased  # most calls are for jobs of this host

            return show_leased(leased, node_sets, ssh, console, services)
        if node_sets:
            raise UsageError(f"`{words[0]}` is a job of this host: `--nodes` says where to look for jobs of others")
        seen = refresh(services, named_jobs(services.journal, words))
        complete_outputs(services, console)
        rows = rows_of(services, seen, usage_of(services, [one.record for one in seen]))
        jobs = [_details(services.journal, one, row) for one, row in zip(seen, rows, strict=True)]
    console.show(ShowReport(jobs))
    silent = {outcome.node: outcome.end for one in seen for outcome in one.outcomes if isinstance(outcome.end, Lost)}
    for node, end in silent.items():
        console.say(messages.warning(f"{node}: {reason_of(end)}"))
    return ExitCode.SOME_NODES_FAILED if silent else ExitCode.DONE


def _details(journal: Journal, seen: Reconciled, row: JobRow) -> JobDetails:
    record, submitted = seen.record, submitted_of(journal, seen.record.id)
    copies = journal.copies(record.id)
    request = None if submitted is None else submitted.request
    so_far = usage_so_far(request, row.usage, copies=len(copies_without_outcome(record, copies)), seconds=row.seconds)
    before = {} if submitted is None else {job: journal.record(job) for job in submitted.restart_policy.after}
    return JobDetails(
        row=row,
        record=replace(record, begin_at=local(record.begin_at)),
        submitted=submitted,
        copies=copies,
        placed=journal.placed(record.id),
        usage=usage_in_all(request, seen.outcomes) if record.state.is_over else so_far,
        paths=_paths(record, submitted),
        waits_for={job: None if one is None else one.state for job, one in before.items()},
        gives_up_at=_gives_up_at(record, submitted, list(before.values())),
        migration=journal.migration_request_of(record.id),
    )


def _gives_up_at(record: JobRecord, submitted: Submitted | None, before: Sequence[JobRecord | None]) -> datetime | None:
    if submitted is None or record.state is not JobState.PENDING:
        return None
    return local(gives_up_at(record, submitted.restart_policy, before))


def _paths(record: JobRecord, submitted: Submitted | None) -> tuple[str, ...]:
    """The output files of the last attempt, each once; patterns, where the names of tasks or nodes are not known."""
    if submitted is None:
        return ()
    if submitted.rules is not None or not record.nodes:
        return tuple(path for path in (submitted.output, submitted.error) if path is not None)
    names = FileNames(job_id=record.id, attempt=record.attempt, output=submitted.output, error=submitted.error)
    paths = [names.of(node, stream) for stream in STREAMS for node in record.nodes]
    return tuple(dict.fromkeys(path for path in paths if path is not None))
