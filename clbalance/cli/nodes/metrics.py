"""Carry out `metrics`: node load and job counts for Prometheus."""

from collections import Counter
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import ClbalanceError, ExitCode, StoreError, UsageError
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.record import is_queued
from clbalance.render import messages
from clbalance.user_files import CheckedFile, FileFailedError, check_writable, replace_file

if TYPE_CHECKING:
    from clbalance.render.reports.nodes.metrics import MetricsReport


def show_metrics(nodes: NodeOptions, ssh: SshOptions, console: Console, output: Path | None) -> int:
    """The exit code of `clbalance metrics`. With `output`, the file is replaced as a whole."""
    if output is None:
        console.show(_asked(nodes, ssh, console))
        return ExitCode.DONE
    with _checked(output, console):
        _replace(output, _asked(nodes, ssh, console).plain())
    return ExitCode.DONE


def _asked(nodes: NodeOptions, ssh: SshOptions, console: Console) -> "MetricsReport":
    cluster = cluster_context(nodes, ssh, console)
    with cluster.services(meanwhile="clbalance.cli.nodes.load_rows") as services:
        began = services.clock.monotonic()
        snapshot = take_snapshot(services, cluster.candidates.nodes)
        sweep_s = services.clock.monotonic() - began
        from clbalance.engine.foresight import as_policy_foresees, forecasts_of  # docs/design/startup.md

        records, counters = _remembered(services, console)
        snapshot = as_policy_foresees(services, snapshot, cluster.policy)
        forecasts = forecasts_of(services, cluster.candidates.nodes, cluster.policy.ahead_s)
    from clbalance.render.reports.nodes.metrics import MetricsReport
    from clbalance.wiring.node_rows import node_rows

    states = Counter(record.state for record in records)
    return MetricsReport(
        rows=node_rows(snapshot, cluster.policy, cluster.default_cpus),
        jobs={state.value: states[state] for state in JobState},
        queued=sum(map(is_queued, records)),
        counters=counters,
        sweep_s=sweep_s,
        at_s=snapshot.taken_at.timestamp(),
        forecasts=forecasts,
        ahead_s=cluster.policy.ahead_s,
    )


def _remembered(services: Services, console: Console) -> tuple[tuple[JobRecord, ...], dict[str, float]]:
    try:
        return services.journal.records(over=True), dict(services.store.counters())
    except StoreError as error:
        console.say(messages.warning(f"continuing without the state database: {error.message}"))
        return (), {}


def _checked(output: Path, console: Console) -> CheckedFile:
    """Check the file before the nodes are asked. `UsageError` for a folder, or a file in a folder that is missing."""
    if output.is_dir():
        raise UsageError(f"`--output` {output} is a folder", hint=f"a file in it: {output / 'clbalance.prom'}")
    if not output.parent.is_dir():
        raise UsageError(f"`--output` {output}: there is no folder {output.parent}", hint="make it, or name another")
    checked = check_writable(str(output), replaced=True)
    if not checked.is_in_place and output.suffix != ".prom":
        console.say(messages.warning(f"the node exporter only reads files that end in .prom, not {output.name}"))
    return checked


def _replace(output: Path, text: str) -> None:
    try:
        # Readable for the node exporter, whatever the umask.
        replace_file(str(output), text.encode(), mode=0o644)
    except FileFailedError as error:
        folder = quote(str(output.parent))
        raise ClbalanceError(
            f"`{output}` cannot be written: {error.reason}", hint=f"`ls -ld {folder}` and `df {folder}` tell more"
        ) from error
