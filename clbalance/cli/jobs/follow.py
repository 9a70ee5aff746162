"""Carry out `attach`, `wait` and `logs`: follow jobs that were submitted before. The first two exit with their code."""

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

from clbalance.cli.console import Console
from clbalance.cli.job_selection import named_jobs, nodes_meant, one_job, open_job_services
from clbalance.cli.options import ReachOptions
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs import submitted
from clbalance.engine.jobs.reconcile import Reconciled
from clbalance.engine.jobs.submitted import follow_on
from clbalance.engine.services import Services
from clbalance.errors import ExitCode, Interrupted, UsageError
from clbalance.model import NodeName
from clbalance.model.job_record import JobRecord, JobState, Lost, Outcome
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import reason_of, run_exit_code
from clbalance.policy.jobs.record import is_queued
from clbalance.render import messages
from clbalance.render.output.labelled import Labelled
from clbalance.render.output.streams import STREAMS, JobOutput, PassedThrough
from clbalance.render.reports.jobs.run import JobReport, JobResults, result_of


class Shown(NullListener):
    """Prints the output of a job; with `err`, its standard error on our standard output."""

    def __init__(self, console: Console, record: JobRecord, *, err: bool = False) -> None:
        self._console = console
        self._err = err
        self.show_for(record.nodes)

    def show_for(self, nodes: Sequence[NodeName]) -> None:
        """Print for these nodes from now on. With several, each line is labelled with its node."""
        outlets, collected = self._console.outlets, self._console.collected
        if collected is not None:
            collected.begin_anew()
            self._output: JobOutput = collected
        else:
            self._output = Labelled(outlets) if len(nodes) > 1 else PassedThrough(outlets)

    def continued(self, record: JobRecord) -> None:
        """The job was migrated or requeued: say so, and show its new nodes."""
        if is_queued(record):
            self._console.say(messages.note(f"job {record.id} waits: {record.reason}"))
            return
        self._output.close()
        self.show_for(record.nodes)
        self._console.say(messages.note(f"job {record.id} goes on on {fold(record.nodes)}"))

    def warned(self, node: NodeName, text: str) -> None:
        self._console.say(messages.warning(f"{node}: {text}"))

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        as_stdout = self._err and self._console.collected is None
        self._output.write(node, "stdout" if as_stdout else stream, piece)

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
            raise UsageError(
                f"job {record.id} waits: {record.reason}",
                hint=f"`clbalance wait {record.id}` waits with it, `clbalance requeue {record.id}` starts it at once",
            )
        if not record.nodes:
            raise UsageError(f"job {record.id} has not been started: {record.state} {record.reason}".rstrip())
        console.say(messages.note(f"job {record.id} on {fold(record.nodes)}"))
        try:
            with contextlib.closing(Shown(console, record)) as shown:
                reconciled = follow_on(services, record, shown, shown.continued, streams=("stdout", "stderr"))
        except Interrupted as stop:
            console.stopped(stop.signum)
            console.say(messages.note(f"job {record.id} goes on; `clbalance cancel {record.id}` ends it"))
            raise
        complete_outputs(services, console)
    _summary(console, reconciled)
    _show_results(console, [reconciled])
    return run_exit_code(reconciled.outcomes) if reconciled.outcomes else _code(reconciled)


def wait_for(words: Sequence[str], ssh: ReachOptions, console: Console) -> int:
    """The exit code of `clbalance wait`: the highest of the jobs'."""
    with open_job_services(ssh, console) as services:
        waiting = replace(services, start_queued=partial(_start_queued, ssh, console))
        records = named_jobs(services.journal, words)
        for record in filter(is_queued, records):
            console.say(messages.note(f"job {record.id} waits: {record.reason}"))
        waited = submitted.await_ends(waiting, records)
        complete_outputs(services, console)
    for reconciled in waited:
        _summary(console, reconciled)
    _show_results(console, waited)
    return max(_code(reconciled) for reconciled in waited)


def _start_queued(ssh: ReachOptions, console: Console, services: Services, jobs: Collection[int]) -> None:
    from clbalance.cli.run.pending import start_from_journal  # deferred import: docs/design/startup.md

    start_from_journal(ssh, console, services, jobs)


def show_logs(
    word: str, ssh: ReachOptions, console: Console, *, follow: bool, err: bool, node_sets: Sequence[str]
) -> int:
    """The exit code of `clbalance logs`."""
    with open_job_services(ssh, console) as services:
        record = one_job(services.journal, word)
        nodes = nodes_meant(node_sets) if node_sets else None
        strangers = (nodes or frozenset()).difference(record.nodes)
        if strangers or not record.nodes:
            ran_on = f"it is on {fold(record.nodes)}" if record.nodes else f"it has not been started: {record.reason}"
            raise UsageError(f"job {record.id} is not on {fold(strangers) or 'any node'}", hint=ran_on)
        streams = STREAMS if console.collected is not None else ("stderr",) if err else ("stdout",)
        with contextlib.closing(Shown(console, record, err=err)) as shown:
            if follow:
                reconciled = follow_on(services, record, shown, shown.continued, streams=streams, nodes=nodes)
            else:
                reconciled = submitted.read(services, record, shown, streams=streams, to_the_end=False, nodes=nodes)
            silent = [outcome for outcome in reconciled.outcomes if isinstance(outcome.end, Lost)]
            for node in (nodes or frozenset(reconciled.record.nodes)).difference(one.node for one in silent):
                shown.have_read(node)
        complete_outputs(services, console)
    for outcome in silent:
        console.say(messages.warning(f"{outcome.node}: {reason_of(outcome.end)}"))
    _show_results(console, [reconciled])
    return ExitCode.SOME_NODES_FAILED if silent else ExitCode.DONE


def _show_results(console: Console, seen: Sequence[Reconciled]) -> None:
    """The jobs as a document, with the output that was read for it."""
    collected = console.collected
    outputs = {} if collected is None else collected.documents(seen[0].record.nodes, lambda *_: None)
    console.show(JobResults(tuple(result_of(one.record, one.outcomes, outputs) for one in seen)))


def _code(reconciled: Reconciled) -> int:
    over = reconciled.record.state.is_over and reconciled.record.rc is not None
    return reconciled.record.rc if over and reconciled.record.rc is not None else ExitCode.NOT_RUN_TO_ITS_END


def _summary(console: Console, reconciled: Reconciled) -> None:
    record = reconciled.record
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
