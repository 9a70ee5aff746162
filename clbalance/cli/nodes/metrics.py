"""Carry out `metrics`."""

from collections import Counter
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from clbalance.cli.cluster import workplace
from clbalance.cli.console import Screen
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.services import World
from clbalance.engine.sweep import measure
from clbalance.errors import ClbalanceError, ExitCode, StoreError, UsageError
from clbalance.model.job_record import JobRecord, JobState
from clbalance.policy.jobs.record import is_queued
from clbalance.render import messages
from clbalance.user_files import CheckedFile, FileFailedError, check_writable, replace_file

if TYPE_CHECKING:
    from clbalance.render.reports.nodes.metrics import MetricsReport


def show_metrics(nodes: NodeOptions, ssh: SshOptions, screen: Screen, output: Path | None) -> int:
    """The exit code."""
    if output is None:
        screen.show(_asked(nodes, ssh, screen))
        return ExitCode.DONE
    with _checked(output, screen):
        _replace(output, _asked(nodes, ssh, screen).plain())
    return ExitCode.DONE


def _asked(nodes: NodeOptions, ssh: SshOptions, screen: Screen) -> "MetricsReport":
    place = workplace(nodes, ssh, screen)
    with place.world(meanwhile="clbalance.cli.nodes.load_rows") as world:
        began = world.clock.monotonic()
        snapshot = measure(world, place.candidates.nodes)
        sweep_s = world.clock.monotonic() - began
        records, tallies = _remembered(world, screen)
    from clbalance.cli.nodes.load_rows import node_rows
    from clbalance.render.reports.nodes.metrics import MetricsReport

    states = Counter(record.state for record in records)
    return MetricsReport(
        rows=node_rows(snapshot, place.policy, place.cpus_asked(1.0)),
        jobs={state.value: states[state] for state in JobState},
        queued=sum(map(is_queued, records)),
        tallies=tallies,
        sweep_s=sweep_s,
        at_s=snapshot.taken_at.timestamp(),
    )


def _remembered(world: World, screen: Screen) -> tuple[tuple[JobRecord, ...], dict[str, float]]:
    try:
        return world.journal.records(over=True), dict(world.store.tallies())
    except StoreError as error:
        screen.say(messages.warning(f"going on without memory: {error.message}"))
        return (), {}


def _checked(output: Path, screen: Screen) -> CheckedFile:
    """Before nodes are asked: cron shall not ask them in vain."""
    if output.is_dir():
        raise UsageError(f"`--output` {output} is a folder", hint=f"a file in it: {output / 'clbalance.prom'}")
    if not output.parent.is_dir():
        raise UsageError(f"`--output` {output}: there is no folder {output.parent}", hint="make it, or name another")
    checked = check_writable(str(output), replaced=True)
    if not checked.is_in_place and output.suffix != ".prom":
        screen.say(messages.warning(f"the node exporter reads only files that end in .prom, and not {output.name}"))
    return checked


def _replace(output: Path, text: str) -> None:
    try:
        # Whoever calls it, with whatever umask: the node exporter must be able to read it.
        replace_file(str(output), text.encode(), mode=0o644)
    except FileFailedError as error:
        folder = quote(str(output.parent))
        raise ClbalanceError(
            f"`{output}` cannot be written: {error.reason}", hint=f"`ls -ld {folder}` and `df {folder}` tell more"
        ) from error
