"""Carry out `hold`, `release` and `update`: change pending jobs, and say what became of each."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from clbalance.cli.console import Console
from clbalance.cli.job_selection import named_jobs, open_job_services
from clbalance.cli.node_settings import me
from clbalance.cli.option_values import check_job_name, check_priority
from clbalance.cli.options import ReachOptions
from clbalance.engine.jobs.reconciled import Reconciled
from clbalance.engine.jobs.submitted import refresh
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, UsageError
from clbalance.model.job import JobChanges
from clbalance.model.job_record import JobRecord, JobState, Lost
from clbalance.policy.jobs.eligibility import why_not_eligible
from clbalance.policy.jobs.outcome import reason_of
from clbalance.policy.jobs.record import is_queued
from clbalance.render import messages
from clbalance.render.reports.jobs.run import JobResult, JobResults, result_of
from clbalance.units import parse_duration

_UNLIMITED = "none"


def hold_jobs(words: Sequence[str], ssh: ReachOptions, console: Console) -> int:
    """The exit code of `clbalance hold`."""

    def hold(services: Services, record: JobRecord) -> str:
        if not services.journal.hold(record.id, me()):
            return ""
        return f"already {record.reason}" if record.held else f"held; `clbalance release {record.id}` lets it start"

    return _change(words, ssh, console, hold, "held")


def release_jobs(words: Sequence[str], ssh: ReachOptions, console: Console) -> int:
    """The exit code of `clbalance release`."""

    def release(services: Services, record: JobRecord) -> str:
        if not services.journal.end_hold(record.id, services.clock.now()):
            return ""
        if not record.held:
            return "not held"
        still = why_not_eligible(replace(record, held=""), services.clock.now())
        starts = f"; {still}" if still else "; `clbalance rebalance --apply` starts it" if is_queued(record) else ""
        return f"released{starts}"

    return _change(words, ssh, console, release, "released")


def update_jobs(
    words: Sequence[str],
    ssh: ReachOptions,
    console: Console,
    *,
    name: str | None,
    priority: float | None,
    time_limit: str | None,
) -> int:
    """The exit code of `clbalance update`."""
    changes = JobChanges(
        name=None if name is None else check_job_name(name),
        priority=None if priority is None else check_priority(priority),
        time_limit_s=None if time_limit is None else _limit_s(time_limit),
    )
    if changes == JobChanges():
        raise UsageError("nothing to change", hint="`--name`, `--priority` or `--time-limit`")
    typed = {"name": name, "priority": None if priority is None else f"{priority:g}", "time limit": time_limit}
    done = ", ".join(f"{what} {value}" for what, value in typed.items() if value is not None)

    def update(services: Services, record: JobRecord) -> str:
        return done if services.journal.update(record.id, changes) else ""

    return _change(words, ssh, console, update, "changed")


def _limit_s(text: str) -> float:
    return math.inf if text == _UNLIMITED else parse_duration(text, "`--time-limit`")


def _change(
    words: Sequence[str],
    ssh: ReachOptions,
    console: Console,
    change: Callable[[Services, JobRecord], str],
    participle: str,
) -> int:
    """Change each job that is pending; the exit code. `change` tells what it did; empty: the journal refused."""
    codes = {ExitCode.DONE}
    results: list[JobResult] = []
    with open_job_services(ssh, console) as services:
        for one in refresh(services, named_jobs(services.journal, words)):
            job = one.record.id
            if done := change(services, one.record):
                console.say(messages.note(f"job {job}: {done}"))
                results.append(result_of(services.journal.record(job) or one.record, one.outcomes, result=done))
                continue
            record = services.journal.record(job) or one.record
            refusal = f"{_why_not(record, one)}: only a pending job can be {participle}"
            console.complain(messages.note(f"job {job} {refusal}"))
            codes.add(ExitCode.SOME_NODES_FAILED if _silence(record, one) else ExitCode.USAGE)
            results.append(result_of(record, one.outcomes, result=refusal))
    console.show(JobResults(tuple(results)))
    return max(codes)


def _why_not(record: JobRecord, one: Reconciled) -> str:
    if record.cancel_requested and not record.state.is_over:
        return "is being cancelled"
    if silence := _silence(record, one):
        return f"may have been started ({silence})"
    return "is being started" if record.state is JobState.PENDING else f"is {record.state}"


def _silence(record: JobRecord, one: Reconciled) -> str:
    """The node whose silence hides whether a pending job has been started; empty: there is none."""
    if record.state is not JobState.PENDING:
        return ""
    lost = (f"{outcome.node}: {reason_of(outcome.end)}" for outcome in one.outcomes if isinstance(outcome.end, Lost))
    return next(lost, "")
