"""What tasks took when they were run before: the journal remembers it."""

from collections.abc import Sequence
from dataclasses import replace

from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model.job import JobSpec, Payload, Script
from clbalance.model.task import Task
from clbalance.policy.jobs.task_durations import expected_durations
from clbalance.policy.jobs.task_records import task_records

_NEWEST = 100
"""Among so many jobs those of the same name are searched."""
_READ = 3
"""Of them, the newest whose tasks are read: a list may have been edited, or have other commands since."""


def remembered_durations(services: Services, job: JobSpec, tasks: Sequence[Task]) -> dict[int, float]:
    """Expected seconds by task number, from the last job with this name and command; empty if there was none."""
    journal = services.journal
    try:
        alike = [one.id for one in journal.records(over=True, newest=_NEWEST) if one.name == job.name]
        for number in alike[: -_READ - 1 : -1]:
            earlier = journal.submitted(number)
            if earlier is not None and _command(earlier.job) == _command(job):
                records = task_records(journal.tasks(number), journal.task_log(number).events())
                if durations := expected_durations(tasks, records):
                    return durations
    except StoreError as error:
        services.listener.store_failed(error.message)
    return {}


def _command(job: JobSpec) -> Payload:
    """What each of its tasks runs; a script may have been changed since."""
    return replace(job.payload, content=None) if isinstance(job.payload, Script) else job.payload
