"""Carry out `explain`: show the recorded plans of a job, with the refusals at admission."""

import os
from datetime import UTC, datetime

from clbalance.cli.cluster import open_store
from clbalance.cli.console import Console
from clbalance.cli.job_selection import one_job
from clbalance.engine.fair_share import shares_of_waiting, submitted_of
from clbalance.errors import ClbalanceError, ExitCode
from clbalance.model.job_record import JobRecord, Placed
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.queue.fair_share import account_of, points_text
from clbalance.policy.queue.queues import waiting_points
from clbalance.ports import Journal
from clbalance.render import messages
from clbalance.render.jobs.limits import JobLimits, job_limits
from clbalance.render.reports.jobs.explain import ExplainReport
from clbalance.settings.load import load_settings
from clbalance.wiring.chosen import choices_in_use
from clbalance.wiring.folders import working_directory


def explain_job(word: str, console: Console) -> int:
    """The exit code of `clbalance explain`."""
    choices = choices_in_use(load_settings(os.environ, working_directory()))
    with open_store(console, needed=True) as (_, journal):
        if word == "last" and (refused := journal.last_refusal()) is not None:
            console.say(messages.note("the last `run` was refused before it got a number"))
            console.show(
                ExplainReport(placed=(Placed(attempt=1, claim=0, plan=refused),), limits=JobLimits(), choices=choices)
            )
            return ExitCode.DONE
        record = one_job(journal, word)
        placed, copies = journal.placed(record.id), journal.copies(record.id)
        points = _queue_points(journal, record) if is_queued(record) else ""
    if points:
        console.say(messages.note(f"job {record.id} has {points}"))
    if not placed:
        message = f"job {record.id} has not been placed: {record.state}"
        raise ClbalanceError(message + (f": {record.reason}" if record.reason else ""))
    if is_queued(record):
        console.say(messages.note(f"job {record.id} waits: {record.reason}"))
    console.show(ExplainReport(placed=placed, limits=job_limits(record.qos, copies), choices=choices))
    return ExitCode.DONE


def _queue_points(journal: Journal, record: JobRecord) -> str:
    """Its points among the jobs that wait, in words; empty if it cannot be read."""
    submitted = submitted_of(journal, record)
    if submitted is None:
        return ""
    settings, now = load_settings(os.environ, working_directory()).queue, datetime.now(UTC)
    waiting = [one for other in journal.records() if is_queued(other) and (one := submitted_of(journal, other))]
    shares = shares_of_waiting(journal, waiting, now, settings.half_life_s) if settings.fair_share else {}
    account, waited = account_of(submitted), max(0.0, (now - record.submitted_at).total_seconds())
    return points_text(
        priority=record.priority,
        waiting=waiting_points(waited, submitted.job.time_limit_s),
        weight=settings.fair_share,
        account=account,
        share=shares.get(account),
    )
