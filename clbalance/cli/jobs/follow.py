"""Carry out `attach`, `wait` and `logs`: follow jobs that were submitted before. The first two exit with their code."""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from clbalance.cli.console import Console
from clbalance.cli.job_selection import leased_names, named_jobs, nodes_meant, one_job, open_job_services
from clbalance.cli.jobs.ends import tell_jobs, tell_tasks
from clbalance.cli.jobs.rows import rows_of
from clbalance.cli.options import ReachOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs import submitted
from clbalance.engine.jobs.conclude_tasks import recorded_tasks
from clbalance.engine.jobs.reconciled import Reconciled
from clbalance.engine.jobs.submitted import follow_on
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, Interrupted, UsageError
from clbalance.model import NodeName
from clbalance.model.job_record import JobRecord, JobState, Lost, Outcome
from clbalance.nodeset import fold
from clbalance.policy.jobs.leased import JobName, LeasedJob
from clbalance.policy.jobs.outcome import reason_of, run_exit_code
from clbalance.policy.jobs.record import is_queued
from clbalance.ports import RunListener
from clbalance.render import messages
from clbalance.render.format import Format
from clbalance.render.output.labelled import Labelled
from clbalance.render.output.streams import STREAMS, JobOutput, PassedThrough
from clbalance.render.reports.jobs.run import JobReport, JobResult, JobResults, result_of


class Shown(NullListener):
    """Prints the output of a job; with `err`, its standard error on our standard output."""

    def __init__(
        self, console: Console, record: JobRecord | LeasedJob, *, err: bool = False, has_tasks: bool = False
    ) -> None:
        self._console = console
        self._err = err
        self._has_tasks = has_tasks
        self._said: set[tuple[NodeName, str]] = set()
        self.show_for(record.nodes)

    def show_for(self, nodes: Sequence[NodeName]) -> None:
        """Print for these nodes from now on. Lines are labelled with their task, or with one of several nodes."""
        outlets, collected = self._console.outlets, self._console.collected
        is_labelled = self._has_tasks or len(nodes) > 1
        if collected is not None:
            collected.begin_anew()
            self._output: JobOutput = collected
        else:
            self._output = Labelled(outlets) if is_labelled else PassedThrough(outlets)

    @property
    def _as_stdout(self) -> bool:
        """Whether standard error goes to our standard output. In a document each has its own place."""
        return self._err and self._console.collected is None

    @property
    def of_slots(self) -> Callable[[], RunListener] | None:
        """Makes the listener of a slot; None if it is no job of tasks."""
        if not self._has_tasks:
            return None
        from clbalance.cli.jobs.task_output import ShownSlot  # most jobs have no tasks (docs/design/startup.md)

        return partial(ShownSlot, lambda: self._output, self._warn_once, err=self._as_stdout)

    def _warn_once(self, node: NodeName, text: str) -> None:
        """A node may have many slots, and the same to say of each."""
        if (node, text) not in self._said:
            self._said.add((node, text))
            self.warned(node, text)

    def continued(self, record: JobRecord) -> None:
        """The job was migrated or requeued: say so, and show its new nodes."""
        if is_queued(record):
            self._console.say(messages.note(f"job {record.id} waits: {record.reason}"))
            return
        self._output.close()
        self.show_for(record.nodes)
        self._console.say(messages.note(f"job {record.id} continues on {fold(record.nodes)}"))

    def warned(self, node: NodeName, text: str) -> None:
        self._console.say(messages.warning(f"{node}: {text}"))

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        self._output.write(node, "stdout" if self._as_stdout else stream, piece)

    def ended(self, outcome: Outcome) -> None:
        self._output.end(outcome.node)

    def have_read(self, node: NodeName) -> None:
        """All that the node has to tell has been read, even if that is nothing."""
        self._output.end(node)

    def close(self) -> None:
        """Print output that was held back."""
        self._output.close()


def attach_to(word: str, ssh: ReachOptions, console: Console) -> int:
    """The exit code of `clbalance attach`."""
    with open_job_services(ssh, console) as services:
        record = one_job(services.journal, word)
        if is_queued(record):
            record = submitted.refresh(services, [record])[0].record  # its controller may have died meanwhile
        if is_queued(record):
            verb, effect = ("release", "lets it start") if record.held else ("requeue", "starts it at once")
            raise UsageError(
                f"job {record.id} waits: {record.reason}",
                hint=f"`clbalance wait {record.id}` waits with it, `clbalance {verb} {record.id}` {effect}",
            )
        if not record.nodes:
            raise UsageError(f"job {record.id} has not been started: {record.state} {record.reason}".rstrip())
        console.say(messages.note(f"job {record.id} on {fold(record.nodes)}"))
        try:
            has_tasks = bool(services.journal.tasks(record.id))
            with contextlib.closing(Shown(console, record, has_tasks=has_tasks)) as shown:
                reconciled = follow_on(
                    services,
                    record,
                    shown,
                    shown.continued,
                    streams=("stdout", "stderr"),
                    slot_listener=shown.of_slots,
                )
            if has_tasks and not _silent(reconciled):  # its slots have ended; the job has when its tasks are counted
                (reconciled,) = submitted.await_ends(services, [reconciled.record])
        except Interrupted as stop:
            console.stopped(stop.signum)
            console.say(messages.note(f"job {record.id} keeps running; `clbalance cancel {record.id}` ends it"))
            raise
        is_whole = complete_outputs(services, console, waited_for=[reconciled.record.id])
        _tell_end(services, console, reconciled)
        _show_results(services, console, [reconciled])
    code = _code(reconciled) if has_tasks or not reconciled.outcomes else run_exit_code(reconciled.outcomes)
    return code if code or is_whole else ExitCode.SOME_NODES_FAILED


def wait_for(words: Sequence[str], ssh: ReachOptions, console: Console) -> int:
    """The exit code of `clbalance wait`: the highest of the jobs'."""
    with open_job_services(ssh, console) as services:
        waiting = replace(services, start_queued=partial(_start_queued, ssh, console))
        records = named_jobs(services.journal, words)
        for record in filter(is_queued, records):
            console.say(messages.note(f"job {record.id} waits: {record.reason}"))
        waited = submitted.await_ends(waiting, records)
        is_whole = complete_outputs(services, console, waited_for=[one.record.id for one in waited])
        if len(waited) > 1:
            tell_jobs(console, rows_of(services, waited))
        else:
            _tell_end(services, console, waited[0])
        _show_results(services, console, waited)
    code = max(_code(reconciled) for reconciled in waited)
    return code if code or is_whole else ExitCode.SOME_NODES_FAILED


def _start_queued(ssh: ReachOptions, console: Console, services: Services, jobs: Collection[int]) -> None:
    from clbalance.cli.run.pending import start_from_journal  # deferred import: docs/design/startup.md

    start_from_journal(ssh, console, services, jobs)


def show_logs(
    word: str, ssh: ReachOptions, console: Console, *, follow: bool, err: bool, node_sets: Sequence[str]
) -> int:
    """The exit code of `clbalance logs`."""
    with open_job_services(ssh, console) as services:
        if leased := leased_names(services.journal, [word]):
            return _show_leased(leased, node_sets, ssh, console, services, follow=follow, err=err)
        record = one_job(services.journal, word)
        nodes = nodes_meant(node_sets) if node_sets else None
        strangers = (nodes or frozenset()).difference(record.nodes)
        if strangers or not record.nodes:
            ran_on = f"it is on {fold(record.nodes)}" if record.nodes else f"it has not been started: {record.reason}"
            raise UsageError(f"job {record.id} is not on {fold(strangers) or 'any node'}", hint=ran_on)
        streams = _streams(console, err=err)
        has_tasks = bool(services.journal.tasks(record.id))
        with contextlib.closing(Shown(console, record, err=err, has_tasks=has_tasks)) as shown:
            of_slots = shown.of_slots
            if follow:
                reconciled = follow_on(
                    services, record, shown, shown.continued, streams=streams, nodes=nodes, slot_listener=of_slots
                )
            else:
                reconciled = submitted.read(
                    services, record, shown, streams=streams, to_the_end=False, nodes=nodes, slot_listener=of_slots
                )
            silent = _silent(reconciled)
            for node in (nodes or frozenset(reconciled.record.nodes)).difference(one.node for one in silent):
                shown.have_read(node)
        complete_outputs(services, console)
        _show_results(services, console, [reconciled])
    return _silence(console, reconciled.outcomes)


def _streams(console: Console, *, err: bool) -> tuple[str, ...]:
    if console.collected is not None:
        return STREAMS
    return ("stderr",) if err else ("stdout",)


def _show_leased(
    names: Mapping[str, JobName],
    node_sets: Sequence[str],
    ssh: ReachOptions,
    console: Console,
    opened: Services,
    *,
    follow: bool,
    err: bool,
) -> int:
    """The same for a running job of another user, or of oneself from elsewhere."""
    from clbalance.cli.jobs.leased import (  # most calls are for jobs of this host
        leased_result,
        leased_services,
        log_leased,
    )
    from clbalance.engine.jobs.leased import visit_leased

    streams = _streams(console, err=err)
    mode = FollowMode(streams=streams, to_the_end=follow, void=False, persist=follow)
    with leased_services(names, node_sets, ssh, console, opened) as (services, (job,)):
        log_leased(services, console, "logs", job, "read")
        with contextlib.closing(Shown(console, job, err=err)) as shown:
            (outcomes,) = visit_leased(services, [job], mode, [shown])
    collected = console.collected
    outputs = {} if collected is None else collected.documents(job.nodes, lambda *_: None)
    console.show(JobResults((leased_result(job, outcomes, outputs),)))
    return _silence(console, outcomes)


def _silence(console: Console, outcomes: Sequence[Outcome]) -> int:
    """Say which nodes did not answer; the exit code."""
    silent = [outcome for outcome in outcomes if isinstance(outcome.end, Lost)]
    for outcome in silent:
        console.say(messages.warning(f"{outcome.node}: {reason_of(outcome.end)}"))
    return ExitCode.SOME_NODES_FAILED if silent else ExitCode.DONE


def _silent(reconciled: Reconciled) -> list[Outcome]:
    return [outcome for outcome in reconciled.outcomes if isinstance(outcome.end, Lost)]


def _show_results(services: Services, console: Console, seen: Sequence[Reconciled]) -> None:
    """The jobs for programs, with the output that was read for it. People have been told on standard error."""
    if console.display.form is not Format.HUMAN:
        console.show(JobResults(tuple(_result(services, console, one) for one in seen)))


def _result(services: Services, console: Console, one: Reconciled) -> JobResult:
    from clbalance.render.output.streams import task_label  # most jobs have no tasks (docs/design/startup.md)
    from clbalance.render.reports.jobs.tasks import task_document, task_row

    has_tasks = bool(services.journal.tasks(one.record.id))
    tasks = [task_row(record) for record in recorded_tasks(services.journal, one.record.id)] if has_tasks else []
    labels = [task_label(row.task) for row in tasks] or one.record.nodes
    outputs = {} if console.collected is None else console.collected.documents(labels, lambda *_: None)
    return replace(result_of(one.record, one.outcomes, outputs), tasks=[task_document(row) for row in tasks])


def _code(reconciled: Reconciled) -> int:
    over = reconciled.record.state.is_over and reconciled.record.rc is not None
    return reconciled.record.rc if over and reconciled.record.rc is not None else ExitCode.NOT_RUN_TO_ITS_END


def _tell_end(services: Services, console: Console, reconciled: Reconciled) -> None:
    record = reconciled.record
    if tasks := recorded_tasks(services.journal, record.id):
        (row,) = rows_of(services, [reconciled])
        tell_tasks(console, tasks, f"job {row.id}: {row.state}: {row.remark}")
        return
    if not reconciled.outcomes:
        tell = console.say if record.state is JobState.COMPLETED else console.complain
        tell(messages.note(f"job {record.id}: {record.state}" + (f": {record.reason}" if record.reason else "")))
        return
    report = JobReport(
        id=record.id,
        name=record.name,
        node_set=fold(record.nodes),
        outcomes=reconciled.outcomes,
        attempt=record.attempt,
    )
    console.tell_end(report)
