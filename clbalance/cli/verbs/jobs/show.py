"""`clbalance show`: everything that is known of a job (`scontrol show job`, `sacct -j`)."""

from typing import Annotated

import typer
from typer import Option

from clbalance.cli.options import JobsArgument, OutputOptions, ReachOptions, takes

_HELP = """Show everything that is known of jobs: request, nodes, attempts, times, ends, limits, output, usage.

`clbalance explain` says why a job is where it is, and `clbalance jobs JOB --tasks` shows its tasks.

Running jobs of others, as root on their nodes, or yours from elsewhere, are named as `jobs --all-users` shows them,
such as alice/3f9a1c2b7d0e, or by number and host, such as alice/17@login1.
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("show", help=_HELP)(show)


@takes
def show(
    ssh: ReachOptions,
    output: OutputOptions,
    words: JobsArgument = None,
    node_sets: Annotated[
        list[str] | None,
        Option("-w", "--nodes", metavar="NODES", help="Where to look for jobs of others. [everywhere]"),
    ] = None,
) -> int:
    """Exits 0; 4 if a node did not answer."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.show import show_named

    return show_named(words or ["last"], ssh, Console.of(output), node_sets=node_sets or [])
