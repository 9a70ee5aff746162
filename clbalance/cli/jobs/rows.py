"""From jobs of the journal to their rows: with what was submitted, their tasks and their output files."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from clbalance.cli.node_settings import me
from clbalance.engine.jobs.reconciled import Reconciled
from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model.job import OutputRecord, Submitted
from clbalance.model.job_record import JobRecord, JobState, Usage
from clbalance.model.task import TaskSummary
from clbalance.policy.jobs.command import command_text
from clbalance.policy.jobs.job_files import by_node
from clbalance.policy.jobs.task_records import summary_of
from clbalance.ports import Journal
from clbalance.render.jobs.row import FileFacts, JobRow, OutputFacts, job_row


def rows_of(services: Services, seen: Sequence[Reconciled], taken: Mapping[int, Usage] | None = None) -> list[JobRow]:
    """A row for each job. `taken`: what running ones use now."""
    journal, user, now = services.journal, me(), services.clock.now()
    outputs = {one.job: one for one in journal.outputs()}  # the last attempt of a job comes last, and wins
    rows = []
    for one in seen:
        number = one.record.id
        submitted = submitted_of(journal, number)
        tasks = None if submitted is None or submitted.rules is None else _tasks(journal, one.record)
        row = job_row(
            one.record,
            one.outcomes,
            user=user,
            now=now,
            request=None if submitted is None else submitted.request,
            command="" if submitted is None else command_text(submitted, 0 if tasks is None else tasks.total),
            tasks=tasks,
        )
        rows.append(
            replace(
                row,
                submitted_at=local(row.submitted_at),
                started_at=local(row.started_at),
                ended_at=local(row.ended_at),
                usage=(taken or {}).get(number),
                output=_output_facts(one.record, submitted, outputs.get(number)),
                files=_file_facts(journal, one.record, submitted),
            )
        )
    return rows


def submitted_of(journal: Journal, number: int) -> Submitted | None:
    """The job as submitted; None if another version of the program has written it."""
    with contextlib.suppress(StoreError):
        return journal.submitted(number)
    return None


def _tasks(journal: Journal, record: JobRecord) -> TaskSummary:
    if record.state is JobState.COMPLETED:  # the log of many tasks takes long to read, and says the same
        total = len(journal.tasks(record.id))
        return TaskSummary(total=total, by_state={JobState.COMPLETED: total})
    from clbalance.engine.jobs.conclude_tasks import recorded_tasks  # deferred import: docs/design/startup.md

    return summary_of(recorded_tasks(journal, record.id))


def _output_facts(record: JobRecord, submitted: Submitted | None, known: OutputRecord | None) -> OutputFacts | None:
    """The output files of a job that has any. They are pending where nothing was written yet."""
    if submitted is None or not submitted.has_files or (known is None and record.state is not JobState.PENDING):
        return None
    facts = OutputFacts(output=submitted.output, error=submitted.error)
    return facts if known is None else replace(facts, state=known.state, reason=known.reason)


def _file_facts(journal: Journal, record: JobRecord, submitted: Submitted | None) -> FileFacts | None:
    """The files that travel with the job; what was returned is told of its last attempt, and of all slots."""
    if submitted is None or submitted.job.files is None:
        return None
    known = journal.returns().of(record.id)
    returns = by_node(known) if submitted.job.slots else tuple(one for one in known if one.claim == record.claim)
    return FileFacts(files=submitted.job.files, returns=returns)


def local(at: datetime | None) -> datetime | None:
    """The same time in the local time zone, with the offset that is valid then."""
    return None if at is None else at.astimezone()
