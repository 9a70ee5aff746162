"""Carry out `explain`: show the recorded plans of a job, with the refusals at admission."""

import os

from clbalance.cli.cluster import open_store
from clbalance.cli.console import Console
from clbalance.cli.job_selection import one_job
from clbalance.cli.node_settings import working_directory
from clbalance.errors import ClbalanceError, ExitCode
from clbalance.model.job_record import Placed
from clbalance.policy.jobs.record import is_queued
from clbalance.render import messages
from clbalance.render.jobs.limits import JobLimits, job_limits
from clbalance.render.reports.jobs.explain import ExplainReport
from clbalance.settings.load import load_settings
from clbalance.wiring.chosen import choices_in_use


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
    if not placed:
        message = f"job {record.id} has not been placed: {record.state}"
        raise ClbalanceError(message + (f": {record.reason}" if record.reason else ""))
    if is_queued(record):
        console.say(messages.note(f"job {record.id} waits: {record.reason}"))
    console.show(ExplainReport(placed=placed, limits=job_limits(record.qos, copies), choices=choices))
    return ExitCode.DONE
