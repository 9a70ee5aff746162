"""Carry out `cancel`: select jobs, end them or send a signal, and say what happened."""

import signal
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from clbalance.cli.console import Console
from clbalance.cli.job_selection import leased_names, named_jobs, nodes_meant, open_job_services
from clbalance.cli.node_settings import me
from clbalance.cli.option_values import parse_signal
from clbalance.cli.options import ReachOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.engine.jobs import submitted
from clbalance.engine.jobs.reconciled import Reconciled
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, UsageError
from clbalance.model.job_record import JobRecord, Lost
from clbalance.policy.jobs.leased import JobName
from clbalance.policy.jobs.outcome import became_of, reason_of
from clbalance.ports import Journal
from clbalance.render import messages
from clbalance.render.reports.jobs.run import JobResult, JobResults, result_of

_End: TypeAlias = tuple[JobResult, bool]
"""What was done to a job, and whether every node has confirmed it."""


def end_jobs(
    words: Sequence[str],
    ssh: ReachOptions,
    console: Console,
    *,
    node_sets: Sequence[str],
    everything: bool,
    signal_name: str | None,
) -> int:
    """The exit code of `clbalance cancel`."""
    number = None if signal_name is None else parse_signal(signal_name)
    with open_job_services(ssh, console) as services:
        leased = leased_names(services.journal, words)
        own = [word for word in words if word not in leased]
        is_own_meant = bool(own or everything or not leased)
        meant = _selected_jobs(services.journal, own, node_sets, everything=everything) if is_own_meant else ()
        ends = _end_leased(services, leased, node_sets, ssh, console, number) if leased else []
        ends += _end_own(services, meant, console, number, are_named=bool(own)) if is_own_meant else []
    console.show(JobResults(tuple(result for result, _ in ends)))
    return ExitCode.DONE if all(confirmed for _, confirmed in ends) else ExitCode.SOME_NODES_FAILED


def _end_leased(
    opened: Services,
    names: Mapping[str, JobName],
    node_sets: Sequence[str],
    ssh: ReachOptions,
    console: Console,
    number: int | None,
) -> list[_End]:
    """End or signal running jobs of others, or of oneself from elsewhere."""
    from clbalance.cli.jobs.leased import end_named, leased_result, leased_services  # most calls are for own jobs

    with leased_services(names, node_sets, ssh, console, opened) as (services, jobs):
        ends = end_named(services, jobs, console, number)
    return [(leased_result(end.job, end.outcomes, result=end.result), end.is_confirmed) for end in ends]


def _end_own(
    services: Services, meant: tuple[JobRecord, ...], console: Console, number: int | None, *, are_named: bool
) -> list[_End]:
    """The same for jobs that were submitted here."""
    over = [record for record in meant if record.state.is_over]
    meant = tuple(record for record in meant if not record.state.is_over)
    for record in over if are_named else ():
        console.say(messages.note(f"job {record.id}: {record.state} already"))
    done = [(result_of(record, (), result=f"{record.state} already"), True) for record in over if are_named]
    if not meant:
        if not over:
            console.say(messages.note("no such job is running or waiting"))
        return done
    if number is None:
        reconciled = submitted.cancel(services, meant, f"cancelled by {me()}")
    else:
        reconciled = submitted.signal(services, meant, number)
    complete_outputs(services, console)
    return done + [_tell(console, one, number) for one in reconciled]


def _selected_jobs(
    journal: Journal, words: Sequence[str], node_sets: Sequence[str], *, everything: bool
) -> tuple[JobRecord, ...]:
    """The selected jobs. `UsageError` without any selection: that must not cancel all jobs."""
    if not (words or node_sets or everything):
        raise UsageError("no job named", hint="`clbalance cancel 17`, `clbalance cancel -w node3` or `--all`")
    meant = named_jobs(journal, words) if words else journal.records()
    if node_sets:
        nodes = nodes_meant(node_sets)
        meant = tuple(record for record in meant if nodes.intersection(record.nodes))
    return meant


def _tell(console: Console, one: Reconciled, number: int | None) -> tuple[JobResult, bool]:
    """Say what happened to one job. Returns it, and whether every node has confirmed it."""
    silent = [outcome for outcome in one.outcomes if isinstance(outcome.end, Lost)]
    result, is_confirmed = _what_happened(one, number, is_silent=bool(silent))
    for outcome in silent:
        console.say(messages.warning(f"job {one.record.id}: {outcome.node}: {reason_of(outcome.end)}; {result}"))
    if not silent:
        say = messages.note if is_confirmed else messages.warning
        console.say(say(f"job {one.record.id}: {result}"))
    return result_of(one.record, one.outcomes, result=result), is_confirmed


def _what_happened(one: Reconciled, number: int | None, *, is_silent: bool) -> tuple[str, bool]:
    """In few words, and whether every node has confirmed it."""
    if is_silent:
        return (_later(one.record) if number is None else "the signal was not sent"), False
    if number is not None:
        return f"sent {signal.Signals(number).name}", True
    if not one.all_ended and not one.record.state.is_over and not one.record.cancel_requested:
        return "it logs in as another user, and is not cancelled", False
    return became_of(one.record, one.outcomes, all_ended=one.all_ended), True


def _later(record: JobRecord) -> str:
    """What becomes of a job whose node has not confirmed its end."""
    if record.cancel_requested:
        return "it may run on, and is ended once the node answers"
    return "it may run on, and is not cancelled"
