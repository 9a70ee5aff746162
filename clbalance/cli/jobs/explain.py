"""Carry out `explain`: show the recorded plans of a job, with the refusals at admission."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from clbalance.cli.cluster import open_store
from clbalance.cli.console import Console
from clbalance.cli.job_selection import one_job
from clbalance.engine.fair_share import shares_of_waiting, submitted_of
from clbalance.errors import ClbalanceError, ExitCode
from clbalance.model.job import Submitted
from clbalance.model.job_record import JobRecord, Placed
from clbalance.policy.backtest.values import Choice
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.queue.fair_share import account_of, points_text
from clbalance.policy.queue.queues import PRIORITY, job_queue_named, waiting_points
from clbalance.ports import Journal
from clbalance.render import messages
from clbalance.render.jobs.limits import JobLimits, job_limits
from clbalance.render.reports.jobs.explain import ExplainReport
from clbalance.settings.keys import AUTO
from clbalance.settings.load import load_settings
from clbalance.settings.values import Settings
from clbalance.wiring.chosen import choices_in_use, queue_name
from clbalance.wiring.folders import working_directory
from clbalance.wiring.node_settings import policy_name


def explain_job(word: str, console: Console) -> int:
    """The exit code of `clbalance explain`."""
    settings = load_settings(os.environ, working_directory())
    with open_store(console, needed=True) as (_, journal):
        if word == "last" and (refused := journal.last_refusal()) is not None:
            console.say(messages.note("the last `run` was refused before it got a number"))
            placed: Sequence[Placed] = (Placed(attempt=1, claim=0, plan=refused),)
            console.show(ExplainReport(placed=placed, limits=JobLimits(), choices=choices_in_use(settings)))
            return ExitCode.DONE
        record = one_job(journal, word)
        placed, copies = journal.placed(record.id), journal.copies(record.id)
        submitted = submitted_of(journal, record)
        turn = _turn(journal, record, submitted, settings) if is_queued(record) and submitted is not None else ""
    if turn:
        console.say(messages.note(turn))
    if not placed:
        message = f"job {record.id} has not been placed: {record.state}"
        raise ClbalanceError(message + (f": {record.reason}" if record.reason else ""))
    if is_queued(record):
        console.say(messages.note(f"job {record.id} waits: {record.reason}"))
    choices = _choices_for(submitted, settings)
    console.show(ExplainReport(placed=placed, limits=job_limits(record.qos, copies), choices=choices))
    return ExitCode.DONE


def _choices_for(submitted: Submitted | None, settings: Settings) -> Sequence[Choice]:
    """The choices in use now; without that of placement, if the job or its group names a policy."""
    is_named = submitted is not None and policy_name(settings, submitted.group, submitted.policy) != AUTO
    return [one for one in choices_in_use(settings) if not (is_named and one.subject == "placement")]


def _turn(journal: Journal, record: JobRecord, submitted: Submitted, settings: Settings) -> str:
    """What decides when its turn comes: its points among the jobs that wait or, in a list without points, the rule."""
    name = queue_name(settings)
    if (rule := job_queue_named(name)) is not PRIORITY:
        return f"the waiting list is `{name}`, for jobs of one priority: {rule.message}"
    queue, now = settings.queue, datetime.now(UTC)
    waiting = [one for other in journal.records() if is_queued(other) and (one := submitted_of(journal, other))]
    shares = shares_of_waiting(journal, waiting, now, queue.half_life_s) if queue.fair_share else {}
    account, waited = account_of(submitted), max(0.0, (now - record.submitted_at).total_seconds())
    points = points_text(
        priority=record.priority,
        waiting=waiting_points(waited, submitted.job.time_limit_s),
        weight=queue.fair_share,
        account=account,
        share=shares.get(account),
    )
    return f"job {record.id} has {points}"
