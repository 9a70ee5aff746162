"""Carry out `cancel`: select jobs, end them or send a signal, and say what happened."""

import signal
from collections.abc import Mapping, Sequence

from clbalance.cli.console import Console
from clbalance.cli.job_selection import leased_names, named_jobs, open_job_services
from clbalance.cli.node_settings import me
from clbalance.cli.option_values import parse_signal
from clbalance.cli.options import ReachOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.engine.jobs import submitted
from clbalance.engine.jobs.reconcile import Reconciled
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, UsageError
from clbalance.model.job_record import JobRecord, Lost
from clbalance.nodeset import NodeSets
from clbalance.policy.jobs.leased import JobName
from clbalance.policy.jobs.outcome import became_of, reason_of
from clbalance.ports import Journal
from clbalance.render import messages


def end_jobs(
    words: Sequence[str],
    ssh: ReachOptions,
    console: Console,
    *,
    node_set: str | None,
    everything: bool,
    signal_name: str | None,
) -> int:
    """The exit code of `clbalance cancel`."""
    number = None if signal_name is None else parse_signal(signal_name)
    with open_job_services(ssh, console) as services:
        leased = leased_names(services.journal, words)
        own = [word for word in words if word not in leased]
        is_own_meant = bool(own or everything or not leased)
        meant = _selected_jobs(services.journal, own, node_set, everything=everything) if is_own_meant else ()
        done = not leased or _end_leased(services, leased, node_set, ssh, console, number)
        done &= not is_own_meant or _end_own(services, meant, console, number, are_named=bool(own))
    return ExitCode.DONE if done else ExitCode.SOME_NODES_FAILED


def _end_leased(
    opened: Services,
    names: Mapping[str, JobName],
    node_set: str | None,
    ssh: ReachOptions,
    console: Console,
    number: int | None,
) -> bool:
    """End or signal running jobs of others, or of oneself from elsewhere. Whether every node has confirmed it."""
    from clbalance.cli.jobs.leased import end_named, leased_services  # most calls are for jobs of this host

    with leased_services(names, node_set, ssh, console, opened) as (services, jobs):
        return end_named(services, jobs, console, number)


def _end_own(
    services: Services, meant: tuple[JobRecord, ...], console: Console, number: int | None, *, are_named: bool
) -> bool:
    """The same for jobs that were submitted here."""
    over = [record for record in meant if record.state.is_over]
    meant = tuple(record for record in meant if not record.state.is_over)
    for record in over if are_named else ():
        console.say(messages.note(f"job {record.id}: {record.state} already"))
    if not meant:
        if not over:
            console.say(messages.note("no such job is running or waiting"))
        return True
    if number is None:
        reconciled = submitted.cancel(services, meant, f"cancelled by {me()}")
    else:
        reconciled = submitted.signal(services, meant, number)
    complete_outputs(services, console)
    confirmed = [_tell(console, one, number) for one in reconciled]
    return all(confirmed)


def _selected_jobs(
    journal: Journal, words: Sequence[str], node_set: str | None, *, everything: bool
) -> tuple[JobRecord, ...]:
    """The selected jobs. `UsageError` without any selection: that must not cancel all jobs."""
    if not (words or node_set or everything):
        raise UsageError("no job named", hint="`clbalance cancel 17`, `clbalance cancel -w node3` or `--all`")
    meant = named_jobs(journal, words) if words else journal.records()
    if node_set is not None:
        nodes = set(NodeSets(None).expand(node_set))
        meant = tuple(record for record in meant if nodes.intersection(record.nodes))
    return meant


def _tell(console: Console, one: Reconciled, number: int | None) -> bool:
    """Say what happened to one job. Returns whether every node has confirmed it."""
    job = one.record.id
    silent = [outcome for outcome in one.outcomes if isinstance(outcome.end, Lost)]
    for outcome in silent:
        later = _later(one.record) if number is None else "the signal was not sent"
        console.say(messages.warning(f"job {job}: {outcome.node}: {reason_of(outcome.end)}; {later}"))
    if silent:
        return False
    if number is not None:
        console.say(messages.note(f"job {job}: sent {signal.Signals(number).name}"))
    elif not one.all_ended and not one.record.state.is_over and not one.record.cancel_requested:
        console.say(messages.warning(f"job {job}: it logs in as another user, and is not cancelled"))
        return False
    else:
        became = became_of(one.record, one.outcomes, all_ended=one.all_ended)
        console.say(messages.note(f"job {job}: {became}"))
    return True


def _later(record: JobRecord) -> str:
    """What becomes of a job whose node has not confirmed its end."""
    if record.cancel_requested:
        return "it may run on, and is ended once the node answers"
    return "it may run on, and is not cancelled"
